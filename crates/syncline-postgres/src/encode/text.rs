//! Text, JSON, bytes, bit strings and uuids.

use syncline_model::{LogicalType, ValueRef, civil, json};

use super::{Refusal, Target, no_nul, refuse};
use crate::native::Wire;
use crate::scan;

impl Target {
    pub(super) fn plain_text(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let uuid;
        let s = match v {
            ValueRef::Text(s) | ValueRef::Json(s) | ValueRef::Other { text: s, .. } => s,
            ValueRef::Uuid(u) => {
                uuid = civil::uuid_text(&u);
                &uuid
            }
            _ => return self.mismatch(v),
        };
        no_nul(s)?;
        let s = match &self.logical {
            LogicalType::Enum { labels } if !labels.iter().any(|l| l == s) => {
                return refuse("enum_label_unknown", format!("{} has no such label", self.native));
            }
            LogicalType::Text { fixed: true, .. } => s.trim_end_matches(' '),
            _ => s,
        };
        if let LogicalType::Text { chars_max: Some(max), .. } = self.logical {
            let max = max as usize;
            // A text of few enough bytes has few enough characters; `name` counts bytes.
            let long = s.len() > max && (self.native == "name" || s.chars().nth(max).is_some());
            if long {
                return refuse("value_too_long", format!("{} characters do not fit {}", s.chars().count(), self.native));
            }
        }
        out.extend_from_slice(s.as_bytes());
        Ok(())
    }

    pub(super) fn json(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let (ValueRef::Json(s) | ValueRef::Text(s)) = v else { return self.mismatch(v) };
        no_nul(s)?;
        if !scan::is_plain(s) {
            self.json_facts(s)?;
        }
        if self.wire == Wire::Jsonb {
            out.push(1);
        }
        out.extend_from_slice(s.as_bytes());
        Ok(())
    }

    /// Judges a text that the quick look could not pass.
    fn json_facts(&self, s: &str) -> Result<(), Refusal> {
        let Some(facts) = json::facts(s) else { return refuse("invalid_json", "the text is no JSON") };
        if self.wire != Wire::Jsonb {
            return Ok(());
        }
        if facts.duplicate_keys {
            return refuse("json_duplicate_keys", "an object has a key twice; jsonb would keep only one");
        }
        if facts.nul_escape {
            return refuse("nul_in_text", "jsonb cannot hold \\u0000");
        }
        if facts.lone_surrogate {
            return refuse("invalid_json", "half a surrogate pair is no Unicode text");
        }
        Ok(())
    }

    pub(super) fn bytes(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match v {
            ValueRef::Bytes(b) => out.extend_from_slice(b),
            ValueRef::Uuid(u) => out.extend_from_slice(&u),
            _ => return self.mismatch(v),
        }
        Ok(())
    }

    pub(super) fn bits(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let ValueRef::Text(s) = v else { return self.mismatch(v) };
        if s.bytes().any(|b| !matches!(b, b'0' | b'1')) {
            return refuse("type_mismatch", "the text is no bit string");
        }
        if let LogicalType::Bit { len: Some(len), varying } = self.logical {
            let len = len as usize;
            if s.len() > len || (!varying && s.len() != len) {
                return refuse("value_too_long", format!("{} bits do not fit {}", s.len(), self.native));
            }
        }
        let Ok(count) = i32::try_from(s.len()) else { return refuse("value_too_large", "the bit string is over 2^31 bits") };
        out.extend_from_slice(&count.to_be_bytes());
        for chunk in s.as_bytes().chunks(8) {
            let byte = chunk.iter().enumerate().fold(0u8, |n, (i, b)| n | (b - b'0') << (7 - i));
            out.push(byte);
        }
        Ok(())
    }

    pub(super) fn uuid(&self, v: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let uuid = match v {
            ValueRef::Uuid(u) => Some(u),
            ValueRef::Text(s) => civil::parse_uuid(s),
            ValueRef::Bytes(b) => b.try_into().ok(),
            _ => return self.mismatch(v),
        };
        match uuid {
            Some(u) => {
                out.extend_from_slice(&u);
                Ok(())
            }
            None => refuse("invalid_uuid", "the value is no uuid"),
        }
    }
}
