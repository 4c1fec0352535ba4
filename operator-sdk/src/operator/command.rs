//! The command line that every operator has.

use std::{
    ffi::OsString,
    io::{self, Write, stdout},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};
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

pub(super) async fn run(operator: Operator, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parser = CommandLine::command().name(operator.name).bin_name(operator.name);
    let matches = parser.try_get_matches_from(arguments);
    let line = match matches.and_then(|matches| CommandLine::from_arg_matches(&matches)) {
        Ok(line) => line,
        Err(error) => return refuse(operator.name, &error),
    };
    let done = match line.verb {
        Verb::Run(options) => match start_logs(options.log_format, &options.log_level) {
            Ok(()) => process::run(operator, options).await.map_err(|error| error.to_string()),
            Err(error) => Err(format!("failed to read --log-level: {error}")),
        },
        Verb::Crds => print(definitions(operator)),
        Verb::Permissions => print(permissions(&operator)),
        Verb::Manifests(options) => print(manifests(&operator, &options)),
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

/// One line for a wrong command line, the usual text for `--help`.
fn refuse(name: &str, error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or("error: wrong command line");
    match error.kind() {
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprintln!("error: no verb given; see '{name} --help'");
        }
        _ => eprintln!("{first}; see '{name} --help'"),
    }
    ExitCode::from(2)
}

fn print(text: Result<String, String>) -> Result<(), String> {
    match stdout().write_all(text?.as_bytes()) {
        // Whoever read it, such as `head`, has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("failed to print: {error}")),
        _ => Ok(()),
    }
}

fn definitions(operator: Operator) -> Result<String, String> {
    let values = operator.definitions.into_iter().map(|definition| definition.and_then(serde_json::to_value));
    let values: Vec<Value> = values.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    manifest::yaml_stream(&values).map_err(|error| error.to_string())
}

fn permissions(operator: &Operator) -> Result<String, String> {
    let role = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": operator.name},
        "rules": rules(&operator.permissions()),
    });
    manifest::yaml_stream(&[role]).map_err(|error| error.to_string())
}

fn manifests(operator: &Operator, options: &ManifestOptions) -> Result<String, String> {
    let image = format!("operator-lite.dev/{}:{}", operator.name, operator.version);
    let objects = manifest::objects(&Installation {
        name: operator.name,
        namespace: &options.namespace,
        image: options.image.as_deref().unwrap_or(&image),
        permissions: &operator.permissions(),
    });
    let objects = objects.map_err(|error| error.to_string())?;
    manifest::yaml_stream(&objects).map_err(|error| error.to_string())
}
