//! Who else is there: somebody who puts back what is deleted, as tools for GitOps do.

use std::time::Duration;

use futures::future::BoxFuture;
use kube::{Api, api::PostParams};
use operator_testkit::{actor::Actor, simulation::Environment};
use tokio::time::sleep;

use crate::{
    controller::{Cache, Controller, Told},
    model::{Database, DatabaseSpec},
};

/// Creates a Database anew, so long after it is gone.
pub(crate) struct RestoresDatabases {
    pub(crate) after: Duration,
    pub(crate) members: usize,
}

impl Actor for RestoresDatabases {
    fn name(&self) -> &str {
        "gitops"
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let (after, members) = (self.after, self.members);
        Box::pin(async move {
            let mut controller = Controller::new(&environment);
            let _databases: Cache<Database> = controller.namespaced();
            let databases: Api<Database> = Api::default_namespaced(controller.client.clone());
            let restore = move |told: Told| {
                let databases = databases.clone();
                async move {
                    if told.is_gone {
                        sleep(after).await;
                        let spec = DatabaseSpec { members, image: String::new(), settings_from: None };
                        let database = Database::new(&told.database, spec);
                        if let Err(error) = databases.create(&PostParams::default(), &database).await {
                            tracing::warn!(%error, "failed to restore");
                        }
                    }
                }
            };
            controller.on_each(restore).await;
        })
    }
}
