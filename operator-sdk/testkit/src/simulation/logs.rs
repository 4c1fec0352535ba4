//! What processes log, caught for the record.
//!
//! The threads of all runs share one subscriber, which costs nothing to install; each thread has a log of its own.

use std::{cell::RefCell, fmt::Write, sync::OnceLock};

use tracing::{
    Dispatch, Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt, registry::Registry};

use super::world::World;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

static DISPATCH: OnceLock<Dispatch> = OnceLock::new();

/// Runs `work` with this thread's logs caught, from when [`belong_to`] says whose they are.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> T {
    let dispatch =
        DISPATCH.get_or_init(|| Dispatch::new(Registry::default().with(Catch.with_filter(LevelFilter::WARN))));
    let result = tracing::dispatcher::with_default(dispatch, work);
    WORLD.set(None);
    result
}

/// Has this thread's logs noted in a world.
pub(super) fn belong_to(world: World) {
    WORLD.set(Some(world));
}

struct Catch;

impl<S: Subscriber> Layer<S> for Catch {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let is_error = *event.metadata().level() == Level::ERROR;
        WORLD.with_borrow(|world| {
            if let Some(world) = world {
                world.log(is_error, line.0);
            }
        });
    }
}

/// The fields of an event in one line, the message as it is.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let separator = if self.0.is_empty() { "" } else { " " };
        let written = match field.name() {
            "message" => write!(self.0, "{separator}{value:?}"),
            name => write!(self.0, "{separator}{name}={value:?}"),
        };
        // Writing to a string does not fail.
        let _ = written;
    }
}
