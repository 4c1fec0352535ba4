//! Somebody who interferes in the middle of things: at the n-th change that is seen of what belongs to a deployment.

use futures::future::BoxFuture;
use operator_testkit::{
    actor::{Actor, Hand, Kind, Sight},
    request::Request,
    simulation::Environment,
};

use crate::workloads::Mode;

pub(crate) struct Interloper {
    kinds: [Kind; 3],
    /// After so many changes, from 1.
    number: usize,
    request: Request,
}

impl Interloper {
    pub(crate) fn at<M: Mode>(number: usize, request: Request) -> Self {
        let (group, version) = M::GROUP_VERSION.split_once('/').unwrap();
        let kind = |plural| Kind::new(group, version, plural, true);
        let kinds = [kind(M::DEPLOYMENT.1), kind(M::REPLICA_SET.1), Kind::core("pods", true)];
        Self { kinds, number, request }
    }
}

impl Actor for Interloper {
    fn name(&self) -> &str {
        "interloper"
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let (kinds, number, request) = (self.kinds.clone(), self.number, self.request.clone());
        Box::pin(async move {
            let hand = Hand::new(&environment, "kubectl");
            let mut sight = Sight::of(&hand, kinds);
            for _ in 0..number {
                sight.next().await;
            }
            hand.call(request).await.expect("what people ask for is accepted");
        })
    }
}
