//! One PostgreSQL and one MariaDB for a whole test run, held by the testkit's own program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{program, target_dir};

/// What the testkit reads; a server that is named here already is used as it is.
const VARIABLES: [&str; 2] = ["SYNCLINE_TEST_POSTGRES", "SYNCLINE_TEST_MARIADB"];

/// Running servers. They end when this value, or this process, ends: the program that holds them waits on our pipe.
pub(crate) struct Servers {
    child: Option<Child>,
    variables: Vec<(String, String)>,
}

impl Servers {
    /// Starts what the environment does not name. The testkit must have been built.
    pub(crate) fn start() -> Result<Servers> {
        if VARIABLES.iter().all(|name| std::env::var_os(name).is_some()) {
            return Ok(Servers { child: None, variables: Vec::new() });
        }
        let mut servers = Servers::launch(&[])?;
        servers.variables.retain(|(name, _)| std::env::var_os(name).is_none());
        Ok(servers)
    }

    /// Starts servers that flush what they commit, whatever the environment names: for measuring. Their URLs follow the order of
    /// [`VARIABLES`].
    pub(crate) fn durable() -> Result<Servers> {
        Servers::launch(&["--durable"])
    }

    fn launch(options: &[&str]) -> Result<Servers> {
        let binary = target_dir()?.join("debug/test-servers");
        let mut command = program(&binary.to_string_lossy(), options);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start the test servers")?;
        let answers = BufReader::new(child.stdout.take().context("the test servers' answer")?);
        let mut variables = Vec::new();
        for line in answers.lines().take(VARIABLES.len()) {
            let line = line?;
            let (name, url) = line.split_once('=').with_context(|| format!("the test servers answered `{line}`"))?;
            variables.push((name.to_owned(), url.to_owned()));
        }
        if variables.len() < VARIABLES.len() {
            bail!("the test servers did not start; their message is above");
        }
        Ok(Servers { child: Some(child), variables })
    }

    /// What to put into the environment of the tests.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&String, &String)> {
        self.variables.iter().map(|(name, url)| (name, url))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.stdin.take());
            // Nothing to do about a failure: their watchdogs clean up.
            let _ = child.wait();
        }
    }
}
