//! `cargo xtask test`: every tier that exists, a table of tiers and times at the end, and all that CI calls.
//!
//! Each step writes to a log of its own; what is printed is what it is doing, how it went, and where the log of a
//! failure lies. A skip counts as a failure in CI, where everything that is needed can be had.

mod api;
mod end_to_end;
mod layering;
pub mod libtest;
mod static_checks;
mod step;
mod table;
mod unit;

use std::time::Instant;

use anyhow::{Result, bail};

use self::step::Steps;
use self::table::{Row, Table};
use crate::cluster::{self, Record};
use crate::control_plane::ControlPlane;
use crate::tools::{self, Tool};
use crate::{paths, progress};

/// What `test` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Only this tier; may be given several times.
    #[arg(long, value_name = "NAME")]
    tier: Vec<Tier>,
    /// Of the tier e2e, only this file of tests/e2e/tests (or `conformance`); may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Of those, only tests whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Leave the cluster up although this run brought it up.
    #[arg(long)]
    keep: bool,
    /// Take all clusters of this program down first: what a run that was cut off has left, perhaps while it did it harm.
    #[arg(long)]
    fresh: bool,
}

/// A group of tests with the same needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Tier {
    /// Format, lints, documentation, licences, layering, generated files.
    Static,
    /// Pure functions, properties, examples in the documentation.
    Unit,
    /// The simulated API server against the real one.
    Api,
    /// The operators on a real cluster, chaos, upstream's suite.
    E2e,
}

const TIERS: [Tier; 4] = [Tier::Static, Tier::Unit, Tier::Api, Tier::E2e];

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Unit => "unit",
            Self::Api => "api",
            Self::E2e => "e2e",
        }
    }
}

/// Runs the tiers; fails if anything in them did.
pub fn run(arguments: &Arguments) -> Result<()> {
    let tiers: Vec<Tier> = TIERS
        .into_iter()
        .filter(|tier| {
            arguments.tier.is_empty() && arguments.only.is_empty()
                || arguments.tier.contains(tier)
                || *tier == Tier::E2e && !arguments.only.is_empty()
        })
        .collect();
    if arguments.fresh {
        for Record { name, .. } in Record::all() {
            cluster::down(&name, false)?;
        }
    }
    let logs = paths::logs()?.join("test");
    // The Go programs take the longest on a fresh machine; they build while Rust does.
    let needed = match () {
        () if tiers.contains(&Tier::E2e) => Tool::ALL,
        () if tiers.contains(&Tier::Api) => ControlPlane::TOOLS,
        () => &[],
    };
    let programs = (!needed.is_empty()).then(|| std::thread::spawn(|| tools::ensure(needed).map(drop)));

    let mut table = Table::default();
    for tier in &tiers {
        progress::say(format!("— tier {} —", tier.name()));
        let started = Instant::now();
        let mut steps = Steps::new(logs.join(tier.name()));
        match tier {
            Tier::Static => static_checks::run(&mut steps),
            Tier::Unit => unit::run(&mut steps),
            Tier::Api => api::run(&mut steps),
            Tier::E2e => end_to_end::run(&mut steps, arguments),
        }
        table.add(Row {
            tier: tier.name(),
            tally: steps.tally(),
            took: started.elapsed(),
            failures: steps.into_failures(),
        });
    }
    if let Some(Err(error)) = programs.and_then(|thread| thread.join().ok()) {
        progress::say(format!("building the cluster's programs failed: {error:#}"));
    }
    println!("\n{table}");
    let total = table.total();
    if total.failed > 0 {
        bail!("{} failed; logs: {}", total.failed, logs.display());
    }
    if total.skipped > 0 && std::env::var_os("CI").is_some() {
        bail!("{} skipped, which counts as a failure in CI; logs: {}", total.skipped, logs.display());
    }
    Ok(())
}
