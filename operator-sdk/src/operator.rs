//! An operator: watches and controllers, put together, and the command line round them.

mod command;
mod host;
mod metrics;
mod preflight;
mod process;

use std::{fmt, process::ExitCode, sync::Arc};

pub use host::{Candidacy, Host};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
pub use preflight::PreflightError;
pub use process::ProcessError;
use serde_json::Value;

use crate::{
    cache::{AnyWatch, Watch},
    controller::{AnyController, Controller},
    crd, event,
    object::Object,
    permission::Permission,
    reconcile::Reconciler,
};

/// An operator that is being put together.
///
/// ```no_run
/// # use operator_sdk::{Controller, Operator, reconcile::Reconciler};
/// # use k8s_openapi::api::core::v1::{ConfigMap, Secret};
/// # async fn example(reconciler: impl Reconciler<Object = ConfigMap>) -> std::process::ExitCode {
/// let mut operator = Operator::builder("hello", env!("CARGO_PKG_VERSION"));
/// let maps = operator.watch::<ConfigMap>();
/// let secrets = operator.watch::<Secret>();
/// operator.controller(Controller::new(reconciler, &maps).owns(&secrets).concurrency(8));
/// operator.run().await
/// # }
/// ```
pub struct Operator {
    name: &'static str,
    version: &'static str,
    watches: Vec<Arc<dyn AnyWatch>>,
    controllers: Vec<Box<dyn AnyController>>,
    /// Made when they are asked for: a schema takes longer to derive than a process to start.
    definitions: Vec<fn() -> Result<CustomResourceDefinition, serde_json::Error>>,
    /// Adds the operator's own flags to the command line.
    flags: fn(clap::Command) -> clap::Command,
    is_on_control_plane: bool,
}

impl fmt::Debug for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Operator").field(&self.name).finish()
    }
}

impl Operator {
    /// An operator of this name (that of its Lease, its ServiceAccount and its Deployment, too) and version.
    pub fn builder(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            watches: Vec::new(),
            controllers: Vec::new(),
            definitions: Vec::new(),
            flags: |command| command,
            is_on_control_plane: false,
        }
    }

    /// Reads flags of the operator's own, on which may depend what it declares afterwards. Every verb has them, so none
    /// may be required and each needs a long name that no verb has; `manifests` hands those that it is given on to the
    /// container.
    ///
    /// # Errors
    /// The exit code of a command line that asks for help or is wrong, which has been told by then.
    pub fn flags<F: clap::Args>(&mut self) -> Result<F, ExitCode> {
        self.flags = F::augment_args;
        command::flags(self, std::env::args_os())
    }

    /// A cache of all objects of a kind, filled while the operator runs.
    pub fn watch<K: Object>(&mut self) -> Watch<K> {
        let watch = Watch::new();
        self.watches.push(watch.erased());
        watch
    }

    /// A kind that the verb `crds` prints.
    pub fn installs<K: CustomResourceExt + 'static>(&mut self) {
        self.definitions.push(crd::definition::<K>);
    }

    /// The operator is a part of the control plane, needed before anything can run elsewhere: its manifests put one
    /// replica on every node of it.
    pub fn runs_on_control_plane(&mut self) {
        self.is_on_control_plane = true;
    }

    /// The operator's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the verb `crds` prints.
    ///
    /// # Errors
    /// If a type's schema is no valid definition.
    pub fn definitions(&self) -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
        self.definitions.iter().map(|definition| definition()).collect()
    }

    /// What the verb `manifests` prints, for this namespace.
    ///
    /// # Errors
    /// If an object cannot be encoded, which no input causes.
    pub fn manifests(&self, namespace: &str) -> Result<Vec<Value>, serde_json::Error> {
        command::manifests(self, &[], namespace, None)
    }

    /// A controller that runs while this process leads.
    pub fn controller<R: Reconciler>(&mut self, controller: Controller<R>) {
        self.controllers.push(Box::new(controller));
    }

    /// Everything that the declared work may ask of the API server, the Lease aside; sorted, each once.
    pub fn permissions(&self) -> Vec<Permission> {
        let of_watches = self.watches.iter().flat_map(|watch| watch.permissions());
        let of_controllers = self.controllers.iter().flat_map(|controller| controller.permissions().to_vec());
        let mut permissions: Vec<_> = of_watches.chain(of_controllers).chain(event::permissions()).collect();
        permissions.sort();
        permissions.dedup();
        permissions
    }

    /// Runs without a command line, on what the caller provides, until the host says stop or the process has to end. It
    /// is to be polled within a runtime; dropped, it stops where it is and leaves nothing behind.
    ///
    /// # Errors
    /// Whatever ends the process but the host's own wish.
    pub async fn run_on(self, host: Host) -> Result<(), ProcessError> {
        process::run_on(self, host).await
    }

    /// Does what the command line says: runs, or prints what is to be installed. Errors go to standard error as one
    /// line each.
    pub async fn run(self) -> ExitCode {
        command::run(self, std::env::args_os()).await
    }
}
