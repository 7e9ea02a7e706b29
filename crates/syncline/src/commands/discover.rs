//! `syncline discover CONNECTION`: what a connection holds.

use syncline_engine::EngineError;
use syncline_model::{Catalog, Table, suggest};

use super::project::{Project, Touch};
use super::{Context, Outcome};
use crate::render::failure::{Exit, Failure};
use crate::render::out::{Out, Tone};
use crate::render::table::{Grid, words};

/// Options of `discover`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the connection in the configuration
    pub connection: String,
    /// Only this table
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
}

/// Lists tables with their columns and keys.
pub async fn execute(context: &Context, args: Args) -> Outcome {
    let project = Project::open(context, Touch::Read)?;
    let Some((kind, connection)) = project.connections.get(&args.connection) else {
        return Err(unknown(&project, &args.connection));
    };
    let engine = project.engine(context, project.store(Touch::Read)?);
    let mut catalog = engine.discover(kind, connection).await.map_err(|e| at(e, &args.connection))?;
    if let Some(only) = &args.table {
        catalog.tables.retain(|t| &t.name.name == only || &t.name.to_string() == only);
        if catalog.tables.is_empty() {
            return Err(Failure::failed("table_missing", format!("`{}` has no table `{only}`", args.connection)));
        }
    }
    if context.out.json() {
        context.out.document(&catalog);
    } else {
        print(&context.out, &catalog);
    }
    Ok(Exit::Good)
}

fn at(e: EngineError, connection: &str) -> Failure {
    Failure::from(e).at(format!("connection {connection}"))
}

fn unknown(project: &Project, name: &str) -> Failure {
    let names: Vec<&str> = project.connections.keys().map(String::as_str).collect();
    let hint = match suggest::closest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", names.join(", ")),
    };
    Failure::usage("connection_unknown", format!("there is no connection `{name}`")).hint(hint).at(project.path.display().to_string())
}

fn print(out: &Out, catalog: &Catalog) {
    for (i, table) in catalog.tables.iter().enumerate() {
        if i > 0 {
            out.line("");
        }
        print_table(out, table);
    }
    if catalog.tables.is_empty() {
        out.line("no tables");
    }
}

fn print_table(out: &Out, table: &Table) {
    out.line(out.paint(Tone::Strong, &table.name.to_string()));
    let key = &table.primary_key;
    let mut grid = Grid::new(out, &["  column", "type", "null", "key", ""]);
    for c in &table.columns {
        let role = if key.contains(&c.name) { "key" } else { "" };
        let remark = if c.generated { "generated" } else { "" };
        grid.row([
            words(format!("  {}", c.name)),
            words(&c.native),
            words(if c.nullable { "yes" } else { "no" }),
            words(role),
            words(remark),
        ]);
    }
    grid.print(out);
    for fk in &table.foreign_keys {
        let line = format!("  {} → {} ({})", fk.columns.join(", "), fk.parent, fk.parent_columns.join(", "));
        out.line(out.paint(Tone::Dim, &crate::render::text::harmless(&line)));
    }
}
