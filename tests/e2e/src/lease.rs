//! Who leads: the Lease of an operator, and waiting for it to change hands.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use crate::cluster::Cluster;
use crate::wait::{self, Seen};

/// The namespace of the operators.
pub const OPERATOR_NAMESPACE: &str = "operator-lite-system";

/// The holder of an operator's lease, as `<pod name>_<random>`; `None` while nobody holds it.
///
/// # Errors
/// There is no such Lease.
pub async fn holder(cluster: &Cluster, name: &str) -> Result<Option<String>> {
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), OPERATOR_NAMESPACE);
    let lease = leases.get(name).await?;
    Ok(lease.spec.and_then(|spec| spec.holder_identity).filter(|holder| !holder.is_empty()))
}

/// The pod that leads.
///
/// # Errors
/// Nobody does within 60 s.
pub async fn leading_pod(cluster: &Cluster, name: &str) -> Result<String> {
    let holder = wait::until(&format!("a holder of Lease {name}"), Duration::from_secs(60), async || {
        Ok(holder(cluster, name).await?.map_or(Seen::NotYet("nobody holds it".into()), Seen::Done))
    })
    .await?;
    pod_of(&holder)
}

/// Waits until another pod than `former` leads; gives its name.
///
/// # Errors
/// None does within `limit`.
pub async fn wait_for_another(cluster: &Cluster, name: &str, former: &str, limit: Duration) -> Result<String> {
    wait::until(&format!("another holder of Lease {name} than {former}"), limit, async || {
        let holder = holder(cluster, name).await?;
        Ok(match holder.as_deref().map(pod_of).transpose()? {
            Some(pod) if pod != former => Seen::Done(pod),
            _ => Seen::NotYet(format!("held by {holder:?}")),
        })
    })
    .await
}

fn pod_of(holder: &str) -> Result<String> {
    let (pod, random) =
        holder.rsplit_once('_').with_context(|| format!("the holder {holder:?} is not <pod name>_<random>"))?;
    if random.is_empty() {
        bail!("the holder {holder:?} has no random part");
    }
    Ok(pod.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_names_its_pod() {
        assert_eq!(pod_of("deployment-lite-7c9-x2x_5f3a").unwrap(), "deployment-lite-7c9-x2x");
        assert!(pod_of("deployment-lite-7c9-x2x").is_err());
        assert!(pod_of("deployment-lite_").is_err());
    }
}
