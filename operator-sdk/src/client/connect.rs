//! From a kubeconfig, or a pod's own credentials, to a connection.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use kube::{
    Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection on which nothing comes for so long is dead. Longer than the silence of any watch that is well.
const READ_TIMEOUT: Duration = Duration::from_secs(180);

type Connect = dyn Fn() -> BoxFuture<'static, Result<kube::Client, ConnectError>> + Send + Sync;

/// The way to a cluster, on which each connection is one of its own. Cheap to clone.
#[derive(Clone)]
pub struct Connector(Arc<Connect>);

/// Why there is no connection to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file named by `--kubeconfig` cannot be used.
    #[error("failed to use kubeconfig {path}: {}; give a readable file to --kubeconfig", first_line(source))]
    Kubeconfig {
        /// As given.
        path: String,
        /// What is wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// Neither a kubeconfig nor a pod's credentials were found.
    #[error("failed to find a cluster: {}; give --kubeconfig FILE, or run in a pod with a ServiceAccount", first_line(.0))]
    Infer(#[source] Box<kube::config::InferConfigError>),
    /// What was found cannot be used to connect.
    #[error("failed to set up the connection to the API server: {0}; check certificates and keys in the kubeconfig")]
    Setup(#[source] Box<kube::Error>),
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Connector").finish()
    }
}

impl Connector {
    /// By [`connect`].
    pub fn new(kubeconfig: Option<PathBuf>) -> Self {
        Self::by(move || {
            let kubeconfig = kubeconfig.clone();
            async move { connect(kubeconfig.as_deref()).await }
        })
    }

    /// By a way of the caller's own, which is taken within the runtime that will use the connection.
    pub fn by<F>(way: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<kube::Client, ConnectError>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(way())))
    }

    /// A new connection.
    ///
    /// # Errors
    /// If there is no way to the cluster.
    pub async fn connect(&self) -> Result<kube::Client, ConnectError> {
        (self.0)().await
    }
}

/// A connection of its own, with no layer that retries (H2).
///
/// The credentials come from `kubeconfig`, else from `$KUBECONFIG` or `~/.kube/config`, else from the pod.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<kube::Client, ConnectError> {
    let mut config = match kubeconfig.map(Path::to_path_buf).or_else(usual_kubeconfig) {
        Some(path) => read(&path).await?,
        None => Config::infer().await.map_err(|source| ConnectError::Infer(Box::new(source)))?,
    };
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    let builder = ClientBuilder::try_from(config).map_err(|source| ConnectError::Setup(Box::new(source)))?;
    Ok(builder.build())
}

/// The one file that the environment names, or else the one in the home folder if it is there.
///
/// A list of files in `$KUBECONFIG` is left to kube, which merges them.
fn usual_kubeconfig() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("KUBECONFIG").filter(|named| !named.is_empty()) {
        let mut paths = std::env::split_paths(&named);
        return paths.next().filter(|_| paths.next().is_none());
    }
    std::env::home_dir().map(|home| home.join(".kube/config")).filter(|path| path.exists())
}

async fn read(path: &Path) -> Result<Config, ConnectError> {
    let failed = |source| ConnectError::Kubeconfig { path: path.display().to_string(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(failed)
}

/// YAML errors come with a picture of the text, which has no place in a line of ours.
fn first_line(error: &impl Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
