//! Column by column: what each staged column comes from, how it is compared, and whether its values fit.

use syncline_connector::Fit;
use syncline_model::{Canon, Column, LogicalType, Table};

use crate::pairing::Builder;
use crate::policy::Policy;
use crate::report::Drift;
use crate::spec::{IdSource, Ids};
use crate::transform::{FieldSource, Target, Transform};

/// The staged columns of a stream.
#[derive(Debug, Default)]
pub(crate) struct Matched {
    /// Destination columns, in order.
    pub columns: Vec<Column>,
    /// The source column of each, where it is a plain copy.
    pub copied_from: Vec<Option<String>>,
    /// How each is compared.
    pub canons: Vec<Canon>,
    /// Columns that may not hold every value.
    pub checked: Vec<String>,
    /// Columns that hold ids of another stream.
    pub foreign_ids: Vec<(usize, String)>,
    /// Columns that hold no value of their source exactly.
    pub unfit: Vec<Drift>,
}

impl Builder<'_> {
    pub(crate) fn match_columns(&self, policy: &Policy, dest: &Table, targets: &[Target], transform: &Transform) -> Matched {
        let mut m = Matched::default();
        for (i, t) in targets.iter().enumerate() {
            match dest.column(&t.name) {
                Some(to) => self.match_column(policy, to, t, i, transform, &mut m),
                None => {
                    // Only drift that stops leaves a target without a column; the caller refuses the stream.
                    let logical = transform.logical(i).cloned().unwrap_or(LogicalType::Any);
                    m.columns.push(Column::plain(t.name.clone(), logical, ""));
                    m.canons.push(Canon::Own);
                    m.copied_from.push(None);
                }
            }
        }
        m
    }

    fn match_column(&self, policy: &Policy, to: &Column, t: &Target, i: usize, transform: &Transform, m: &mut Matched) {
        let ids = self.ids_of(policy, t);
        if let Some(Some(parent)) = &ids {
            m.foreign_ids.push((i, parent.clone()));
        }
        // Mapped ids arrive as the destination has them.
        let (from, engine, fit) = match ids {
            Some(_) => (to.clone(), self.to.engine(), Fit::Exact),
            None => {
                let from = self.source_column(t, transform, i);
                let fit = self.fit(&from, to, t);
                (from, self.from.engine(), fit)
            }
        };
        match fit {
            Fit::Exact => {}
            Fit::Checked(why) => m.checked.push(format!("`{}`: {why}", t.name)),
            Fit::Never(why) => {
                let (stream, column) = (self.stream.to_owned(), Some(t.name.clone()));
                m.unfit.push(Drift { stream, kind: "unfit".to_owned(), column, detail: why, stops: true });
            }
        }
        m.canons.push(Canon::for_pair((&from, engine), (to, self.to.engine())));
        m.copied_from.push(if let FieldSource::Column(c) = &t.source { Some(c.clone()) } else { None });
        m.columns.push(to.clone());
    }

    /// Whether the column holds mapped ids. A `legacy_*_id` column keeps the source's own id.
    fn ids_of(&self, policy: &Policy, t: &Target) -> Option<Option<String>> {
        if matches!(&policy.options.ids, Some(Ids { source: IdSource::Column(legacy), .. }) if *legacy == t.name) {
            return None;
        }
        if let FieldSource::Column(c) = &t.source { self.mapped_column(policy, c) } else { None }
    }

    fn source_column(&self, t: &Target, transform: &Transform, i: usize) -> Column {
        match &t.source {
            FieldSource::Column(c) => self.source.column(c).cloned().unwrap_or_else(|| Column::plain(c.clone(), LogicalType::Any, "")),
            FieldSource::Template(_) | FieldSource::Constant(_) => {
                let logical = transform.logical(i).cloned().unwrap_or(LogicalType::Any);
                Column::plain(t.name.clone(), logical, "")
            }
        }
    }

    /// Computed values are judged one by one by the encoder; only copies have a type to be judged by.
    fn fit(&self, from: &Column, to: &Column, t: &Target) -> Fit {
        match t.source {
            FieldSource::Column(_) => self.to.connector.fit(from, self.from.engine(), to),
            FieldSource::Template(_) | FieldSource::Constant(_) => Fit::Exact,
        }
    }
}
