//! The story, step by step: plan, run, verify, edits on both sides, a conflict, a bad row, a dangerous deletion, and undo.

use super::stage::Side::{Federation, Office};
use super::stage::{Stage, ended, holds};
use super::{Failure, federation};
use crate::commands::{conflicts, parked, plan, run, show, status, undo, verify};
use crate::render::failure::Exit;

/// Tells it.
pub async fn tell(stage: &Stage) -> Result<(), Failure> {
    look(stage).await?;
    first_run(stage).await?;
    proof(stage).await?;
    edits(stage).await?;
    conflict(stage).await?;
    bad_row(stage).await?;
    mend(stage).await?;
    danger(stage).await?;
    back_again(stage).await
}

const TABLES: [&str; 5] = ["organisations", "clubs", "teams", "members", "memberships"];

async fn look(stage: &Stage) -> Result<(), Failure> {
    stage.chapter("1. Look before you leap");
    stage.say(
        "The federation keeps its members as federations do: twenty years of typing. The office has one empty table of its own, \
         stricter than the federation's. What would a sync do? `plan` says so, and writes nothing anywhere.",
    );
    let exit = plan(stage, 3).await?;
    ended(exit, Exit::Good, "plan")?;
    let tables = stage.count(Office, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
    holds(tables == 1, || format!("the plan left {tables} tables at the office instead of 1"))
}

async fn first_run(stage: &Stage) -> Result<(), Failure> {
    stage.chapter("2. Do it");
    ended(run(stage, false).await?, Exit::Good, "run")?;
    for table in TABLES {
        let sql = format!("SELECT count(*) FROM {table}");
        let (there, here) = (stage.count(Federation, &sql)?, stage.count(Office, &sql)?);
        holds(there == here && here > 0, || format!("{table} has {there} rows at the federation and {here} at the office"))?;
    }
    let members = u64::try_from(stage.count(Office, "SELECT count(*) FROM members")?).unwrap_or(0);
    holds(members == federation::MEMBERS, || format!("{members} members arrived"))
}

async fn proof(stage: &Stage) -> Result<(), Failure> {
    stage.chapter("3. Prove it");
    stage.say("`verify` compares every row by a way of its own, not by the one that wrote them, and keeps its report.");
    ended(verify(stage).await?, Exit::Good, "verify")
}

async fn edits(stage: &Stage) -> Result<(), Failure> {
    stage.chapter("4. Life goes on, on both sides");
    stage.say("The federation corrects an address and a phone number, and signs up a member:");
    stage.change(
        Federation,
        "UPDATE members SET city = 'Bergen' WHERE id = 11;
         UPDATE members SET phone = '+49 221 555 0100' WHERE id = 12;
         INSERT INTO members VALUES (4001, 2, 'Inès', 'Lefèvre', '2008-02-29', 'ines@example.org', NULL, 'Besançon', 4500, '');",
    )?;
    stage.say("The office, meanwhile, edits its own copy; member 12 on both sides, to different numbers:");
    stage.change(
        Office,
        "UPDATE members SET phone = '0221 999 999' WHERE id = 12;
         UPDATE members SET email = 'office-knows-better@example.org' WHERE id = 13;",
    )?;
    ended(plan(stage, 10).await?, Exit::Good, "plan")
}

async fn conflict(stage: &Stage) -> Result<(), Failure> {
    stage.chapter("5. Nothing is lost, and conflicts are decided in the open");
    ended(run(stage, false).await?, Exit::Good, "run")?;
    stage.typed("conflicts last");
    let args = conflicts::Args { run: "last".to_owned(), limit: 10, offset: 0 };
    ended(conflicts::execute(&stage.context, args).await?, Exit::Good, "conflicts")?;
    let answers = [
        ("SELECT city FROM members WHERE id = 11", "Bergen"),
        ("SELECT phone FROM members WHERE id = 12", "+49 221 555 0100"),
        ("SELECT email FROM members WHERE id = 13", "office-knows-better@example.org"),
        ("SELECT family_name FROM members WHERE id = 4001", "Lefèvre"),
    ];
    for (sql, expected) in answers {
        let found = stage.text(Office, sql)?;
        holds(found == expected, || format!("{sql} gives `{found}`, the story says `{expected}`"))?;
    }
    stage.say("");
    stage.say(
        "The federation's number won for member 12, as configured, and the office's is on record. What only the office had changed \
         (member 13) is still there, and `verify` knows that the office holds it by right:",
    );
    ended(verify(stage).await?, Exit::Good, "verify")
}

async fn bad_row(stage: &Stage) -> Result<(), Failure> {
    stage.chapter("6. A bad row costs that row, not the run");
    stage.say("Somebody enters dues below zero, which the office's table refuses, and puts the member into a team:");
    stage.change(
        Federation,
        "INSERT INTO members VALUES (4002, 1, 'Bo', 'Nilsson', '1999-07-01', 'bo@example.org', NULL, 'Malmö', -500, NULL);
         INSERT INTO memberships VALUES (4002, 1, 'rower', '2025-09-01', 7);
         UPDATE clubs SET city = 'Malmö' WHERE id = 5;",
    )?;
    ended(run(stage, false).await?, Exit::Partial, "run")?;
    stage.typed("parked");
    list_parked(stage).await?;
    let arrived = stage.count(Office, "SELECT count(*) FROM clubs WHERE id = 5 AND city = 'Malmö'")?;
    holds(arrived == 1, || "the good change did not arrive beside the bad row".to_owned())?;
    let bad = stage.count(Office, "SELECT count(*) FROM members WHERE id = 4002")?;
    holds(bad == 0, || "the bad row arrived".to_owned())?;
    stage.say("");
    stage.say("The run was `partial` (exit code 3), the good rows are in, and the membership waits for its member.");
    Ok(())
}

async fn mend(stage: &Stage) -> Result<(), Failure> {
    stage.chapter("7. Fix the cause, and the rows go in");
    stage.change(Federation, "UPDATE members SET dues_cents = 4500 WHERE id = 4002;")?;
    stage.typed("parked --retry --all");
    let args = parked::Args { retry: true, all: true, limit: 50, ..parked::Args::default() };
    ended(parked::execute(&stage.context, args).await?, Exit::Good, "parked --retry")?;
    let sql = "SELECT (SELECT count(*) FROM members WHERE id = 4002) + (SELECT count(*) FROM memberships WHERE member_id = 4002)";
    let arrived = stage.count(Office, sql)?;
    holds(arrived == 2, || format!("{arrived} of the 2 parked rows arrived"))
}

async fn danger(stage: &Stage) -> Result<(), Failure> {
    stage.chapter("8. Deletions that look wrong are held back");
    stage.say("One evening at the federation, a DELETE loses half of its WHERE:");
    let before = stage.count(Office, "SELECT count(*) FROM memberships")?;
    stage.change(Federation, "DELETE FROM memberships WHERE role = 'rower';")?;
    ended(run(stage, false).await?, Exit::Partial, "run")?;
    let after = stage.count(Office, "SELECT count(*) FROM memberships")?;
    holds(after == before, || format!("{} memberships went although the guard should hold them", before - after))?;
    stage.typed("show last --limit 3");
    let args = show::Args { run: "last".to_owned(), limit: 3 };
    ended(show::execute(&stage.context, args).await?, Exit::Good, "show")
}

async fn back_again(stage: &Stage) -> Result<(), Failure> {
    stage.chapter("9. And what was approved too soon can be undone");
    stage.say("A colleague is in a hurry and approves:");
    let before = stage.count(Office, "SELECT count(*) FROM memberships")?;
    ended(run(stage, true).await?, Exit::Good, "run --approve-deletes")?;
    let left = stage.count(Office, "SELECT count(*) FROM memberships")?;
    holds(left < before, || "the approved deletions were not made".to_owned())?;
    stage.say("");
    stage.say("That was a mistake. Every row that a run changes or deletes is kept for as long as the run can be undone:");
    stage.typed("undo last");
    let args = undo::Args { run: "last".to_owned() };
    ended(undo::execute(&stage.context, args).await?, Exit::Good, "undo")?;
    let restored = stage.count(Office, "SELECT count(*) FROM memberships")?;
    holds(restored == before, || format!("{restored} of {before} memberships are back"))?;
    stage.typed("status");
    ended(status::execute(&stage.context, status::Args { sync: None }).await?, Exit::Good, "status")
}

async fn plan(stage: &Stage, limit: usize) -> Result<Exit, Failure> {
    stage.typed(&format!("plan --limit {limit}"));
    let args = plan::Args { limit, ..plan::Args::default() };
    plan::execute(&stage.context, args).await
}

async fn run(stage: &Stage, approve_deletes: bool) -> Result<Exit, Failure> {
    stage.typed(if approve_deletes { "run --approve-deletes" } else { "run" });
    run::execute(&stage.context, run::Args { approve_deletes, ..run::Args::default() }).await
}

async fn verify(stage: &Stage) -> Result<Exit, Failure> {
    stage.typed("verify");
    verify::execute(&stage.context, verify::Args::default()).await
}

async fn list_parked(stage: &Stage) -> Result<(), Failure> {
    let args = parked::Args { limit: 10, ..parked::Args::default() };
    ended(parked::execute(&stage.context, args).await?, Exit::Good, "parked")?;
    let rows = stage.count(Office, "SELECT count(*) FROM memberships WHERE member_id = 4002")?;
    holds(rows == 0, || "the parked membership arrived without its member".to_owned())
}
