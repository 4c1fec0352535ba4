//! Somebody who interferes in the middle of things: at the n-th change of what belongs to a deployment since it has had an
//! image.

use std::sync::Arc;

use futures::future::BoxFuture;
use operator_testkit::{
    actor::{Actor, Hand, Kind, Sight},
    object::Object,
    request::Request,
    simulation::Environment,
};

use crate::workloads::{Mode, image_of};

pub(crate) struct Interloper {
    kinds: [Kind; 3],
    image: &'static str,
    /// After so many changes, from 1.
    number: usize,
    request: Request,
}

impl Interloper {
    pub(crate) fn at<M: Mode>(image: &'static str, number: usize, request: Request) -> Self {
        let (group, version) = M::GROUP_VERSION.split_once('/').unwrap();
        let kind = |plural| Kind::new(group, version, plural, true);
        let kinds = [kind(M::DEPLOYMENT.1), kind(M::REPLICA_SET.1), Kind::core("pods", true)];
        Self { kinds, image, number, request }
    }
}

impl Actor for Interloper {
    fn name(&self) -> &str {
        "interloper"
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let (kinds, image, number, request) = (self.kinds.clone(), self.image, self.number, self.request.clone());
        Box::pin(async move {
            let hand = Hand::new(&environment, "kubectl");
            let mut sight = Sight::of(&hand, kinds);
            let is_wanted = |after: &Arc<Object>| {
                let has_template = after["spec"]["template"].is_object();
                has_template && image_of(&after["spec"]["template"]) == image
            };
            while !sight.next().await.after.as_ref().is_some_and(is_wanted) {}
            for _ in 1..number {
                sight.next().await;
            }
            hand.call(request).await.expect("what people ask for is accepted");
        })
    }
}
