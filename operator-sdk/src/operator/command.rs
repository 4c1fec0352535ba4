//! The command line that every operator has.

use std::{
    ffi::OsString,
    io::{self, Write, stdout},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{
    ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind, parser::ValueSource,
};
use serde_json::Value;

use super::{Operator, process};
use crate::{
    leader::Timing,
    manifest::{self, Installation},
    permission::rules,
    telemetry::{LogFormat, start_logs},
};

const DEFAULT_NAMESPACE: &str = "operator-lite-system";

#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the operator
    Run(RunOptions),
    /// Print the CustomResourceDefinitions as YAML
    Crds,
    /// Print the rules that the operator needs, as a ClusterRole
    Permissions,
    /// Print all else that an installation needs, as YAML
    Manifests(ManifestOptions),
    /// Print the version
    Version,
}

/// How to run.
#[derive(Clone, Debug, Args)]
pub(super) struct RunOptions {
    /// Kubeconfig file; otherwise $KUBECONFIG, ~/.kube/config, or the pod's ServiceAccount
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Where /livez, /readyz and /metrics are served
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(super) admin_address: SocketAddr,
    /// Wait for the leadership before working; needed with more than one replica
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub(super) leader_elect: bool,
    /// Namespace of the Lease
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    pub(super) leader_election_namespace: String,
    /// A lease unchanged for so long may be taken by another replica
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    lease_duration_seconds: u32,
    /// A leader that could not renew for so long gives up
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    renew_deadline_seconds: u32,
    /// Time between renewals
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    retry_period_seconds: u32,
    /// Name of this replica; part of its identity in the Lease
    #[arg(long, value_name = "NAME", env = "POD_NAME", default_value = "local")]
    pub(super) pod_name: String,
    /// Form of the log lines
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Log level, or a filter such as info,operator_sdk=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log_level: String,
}

impl RunOptions {
    pub(super) fn timing(&self) -> Timing {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Timing {
            lease_duration: seconds(self.lease_duration_seconds),
            renew_deadline: seconds(self.renew_deadline_seconds),
            retry_period: seconds(self.retry_period_seconds),
        }
    }
}

#[derive(Debug, Args)]
struct ManifestOptions {
    /// Image of the operator's container
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Namespace that the operator runs in
    #[arg(long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    namespace: String,
}

/// The operator's own flags, once the whole command line has been found right.
pub(super) fn flags<F: FromArgMatches>(
    operator: &Operator,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<F, ExitCode> {
    let flags = parse(operator, arguments).and_then(|matches| F::from_arg_matches(&matches));
    flags.map_err(|error| refuse(operator.name, &error))
}

pub(super) async fn run(operator: Operator, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = parse(&operator, arguments)
        .and_then(|matches| Ok((CommandLine::from_arg_matches(&matches)?.verb, given_flags(&operator, &matches))));
    let (verb, flags) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(operator.name, &error),
    };
    let done = match verb {
        Verb::Run(options) => match start_logs(options.log_format, &options.log_level) {
            Ok(()) => process::run(operator, options).await.map_err(|error| error.to_string()),
            Err(error) => Err(format!("failed to read --log-level: {error}")),
        },
        Verb::Crds if operator.definitions.is_empty() => {
            // Where the output goes on to kubectl, people shall see why nothing comes.
            eprintln!("{} needs no CustomResourceDefinitions", operator.name);
            Ok(())
        }
        Verb::Crds => print(definitions(&operator)),
        Verb::Permissions => print(permissions(&operator)),
        Verb::Manifests(ManifestOptions { image, namespace }) => {
            let objects = manifests(&operator, &flags, &namespace, image.as_deref());
            print(objects.map_err(|error| error.to_string()).and_then(|objects| yaml(&objects)))
        }
        Verb::Version => {
            println!("{} {}", operator.name, operator.version);
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(operator: &Operator, arguments: impl IntoIterator<Item = OsString>) -> Result<ArgMatches, clap::Error> {
    let parser = CommandLine::command().name(operator.name).bin_name(operator.name);
    (operator.flags)(parser).mut_args(|flag| flag.global(true)).try_get_matches_from(arguments)
}

/// The operator's own flags as this command line has them, without those left at their defaults.
fn given_flags(operator: &Operator, matches: &ArgMatches) -> Vec<String> {
    let own = (operator.flags)(clap::Command::new(operator.name));
    let is_given = |id: &str| matches.value_source(id).is_some_and(|source| source != ValueSource::DefaultValue);
    let given = own.get_arguments().filter(|flag| is_given(flag.get_id().as_str()));
    given.flat_map(|flag| with_values(flag, matches)).collect()
}

fn with_values(flag: &clap::Arg, matches: &ArgMatches) -> Vec<String> {
    let name = format!("--{}", flag.get_long().unwrap_or_else(|| flag.get_id().as_str()));
    if !flag.get_action().takes_values() {
        return vec![name];
    }
    let values = matches.get_raw(flag.get_id().as_str()).into_iter().flatten();
    values.map(|value| format!("{name}={}", value.to_string_lossy())).collect()
}

/// One line for a wrong command line, the usual text for `--help`.
fn refuse(name: &str, error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    match error.kind() {
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprintln!("error: no verb given; see '{name} --help'");
        }
        _ => eprintln!("{}; see '{name} --help'", first_paragraph(error)),
    }
    ExitCode::from(2)
}

/// What is wrong, and the values that are possible where there are such, in one line.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    lines.join(" ")
}

fn print(text: Result<String, String>) -> Result<(), String> {
    match stdout().write_all(text?.as_bytes()) {
        // Whoever read it, such as `head`, has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("failed to print: {error}")),
        _ => Ok(()),
    }
}

fn definitions(operator: &Operator) -> Result<String, String> {
    let definitions = operator.definitions().map_err(|error| error.to_string())?;
    let values: Result<Vec<Value>, _> = definitions.into_iter().map(serde_json::to_value).collect();
    yaml(&values.map_err(|error| error.to_string())?)
}

fn permissions(operator: &Operator) -> Result<String, String> {
    let role = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": operator.name},
        "rules": rules(&operator.permissions()),
    });
    yaml(&[role])
}

pub(super) fn manifests(
    operator: &Operator,
    flags: &[String],
    namespace: &str,
    image: Option<&str>,
) -> Result<Vec<Value>, serde_json::Error> {
    let usual = format!("operator-lite.dev/{}:{}", operator.name, operator.version);
    manifest::objects(&Installation {
        name: operator.name,
        namespace,
        image: image.unwrap_or(&usual),
        permissions: &operator.permissions(),
        flags,
        is_on_control_plane: operator.is_on_control_plane,
    })
}

fn yaml(objects: &[Value]) -> Result<String, String> {
    manifest::yaml_stream(objects).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Args, PartialEq)]
    struct Flags {
        #[arg(long, default_value = "one", value_parser = ["one", "two"])]
        mode: String,
        #[arg(long)]
        fast: bool,
    }

    fn operator() -> Operator {
        Operator { flags: Flags::augment_args, ..Operator::builder("hello", "1") }
    }

    fn parsed(line: &str) -> Result<ArgMatches, clap::Error> {
        parse(&operator(), line.split(' ').map(OsString::from))
    }

    #[test]
    fn flags_of_the_operator_stand_before_or_after_the_verb() {
        for line in ["hello --mode two crds", "hello crds --mode=two", "hello run --mode two --leader-elect false"] {
            let flags = Flags::from_arg_matches(&parsed(line).unwrap()).unwrap();
            assert_eq!(flags, Flags { mode: "two".to_owned(), fast: false }, "{line}");
        }
    }

    #[test]
    fn only_flags_that_are_given_are_handed_on() {
        let given = |line: &str| given_flags(&operator(), &parsed(line).unwrap());
        assert_eq!(given("hello manifests --namespace system"), [""; 0]);
        assert_eq!(given("hello manifests --fast --mode two --image a"), ["--mode=two", "--fast"]);
        assert_eq!(given("hello --mode one manifests"), ["--mode=one"]);
    }

    #[test]
    fn a_wrong_value_is_told_in_one_line_with_the_possible_ones() {
        let line = first_paragraph(&parsed("hello run --mode three").unwrap_err());
        assert_eq!(line, "error: invalid value 'three' for '--mode <MODE>' [possible values: one, two]");
    }
}
