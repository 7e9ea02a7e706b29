//! New ids for records that have none: UUIDs of version 5, so that the same record gets the same id in every run, on every
//! machine, and after every crash, without asking anybody. Number sequences are not minted: they would need the
//! destination's word for every record.

use syncline_model::Value;
use uuid::Uuid;

use super::form::IdForm;

/// The root of all our namespaces. Never changes: it is in every minted id.
const ROOT: Uuid = Uuid::from_u128(0x5d0f_3e52_6a5c_5b0e_9c39_7b1f_2a86_d4c1);

/// Mints the ids of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mint {
    namespace: Uuid,
    legacy: IdForm,
    new: IdForm,
}

impl Mint {
    /// For keys of form `legacy` becoming keys of form `new`. `None` when the destination's key cannot hold a UUID.
    ///
    /// The ids depend on the names of sync and stream: renaming either mints other ids for records not mapped yet.
    #[must_use]
    pub fn new(sync: &str, stream: &str, legacy: IdForm, new: IdForm) -> Option<Self> {
        new.take_uuid([0; 16])?;
        // A length in front keeps ("a", "bc") and ("ab", "c") apart.
        let namespace = Uuid::new_v5(&ROOT, format!("{}:{sync}{stream}", sync.len()).as_bytes());
        Some(Self { namespace, legacy, new })
    }

    /// The id for a legacy id in its form.
    #[must_use]
    pub fn id(&self, legacy: &Value) -> Value {
        let id = Uuid::new_v5(&self.namespace, &self.legacy.canonical(legacy.view()));
        self.new.take_uuid(id.into_bytes()).expect("invariant: `new` refuses forms that hold no uuid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_model::LogicalType;

    fn mint(sync: &str, stream: &str) -> Mint {
        let int = IdForm::of(&LogicalType::Int { bits: 32, unsigned: false });
        Mint::new(sync, stream, int, IdForm::of(&LogicalType::Uuid)).unwrap()
    }

    // req: FR-010
    #[test]
    fn minted_ids_are_pinned_forever() {
        let Value::Uuid(id) = mint("shop_to_lake", "film").id(&Value::I64(42)) else { panic!("a uuid") };
        assert_eq!(Uuid::from_bytes(id).to_string(), "54ffd936-9f16-5099-9861-8b696c179c94");
        assert_eq!(Uuid::from_bytes(id).get_version_num(), 5);
    }

    // req: FR-010
    #[test]
    fn streams_and_syncs_have_ids_of_their_own_and_spellings_have_not() {
        let ids = [mint("a", "bc"), mint("ab", "c"), mint("a", "b")].map(|m| m.id(&Value::I64(1)));
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_eq!(mint("a", "b").id(&Value::I64(1)), mint("a", "b").id(&Value::U64(1)));
    }

    // req: FR-010
    #[test]
    fn a_column_that_holds_no_uuid_gets_no_mint() {
        let int = IdForm::of(&LogicalType::Int { bits: 32, unsigned: false });
        assert_eq!(Mint::new("a", "b", int, int), None);
        let text = IdForm::of(&LogicalType::Text { chars_max: Some(36), fixed: false });
        assert!(matches!(Mint::new("a", "b", int, text).unwrap().id(&Value::I64(1)), Value::Text(s) if s.len() == 36));
    }
}
