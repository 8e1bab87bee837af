//! JSON lines on standard output, with the keys upstream's users grep for: `ts`, `level`, `caller`, `msg`, and the
//! fields of the event.
//!
//! Not here: what is worth a line. Libraries log from `warn` up, unless everything is asked for.

mod sink;

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use sink::Sink;

/// How much to log: upstream's `--log-level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything, libraries included.
    All,
    /// Ours down to details.
    Debug,
    /// What changes.
    #[default]
    Info,
    /// What may be wrong.
    Warn,
    /// What failed.
    Error,
    /// Nothing.
    None,
}

/// The text names no level.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("log level {0:?} is none of all, debug, info, warn, error, none")]
pub struct UnknownLevel(String);

impl FromStr for LogLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        Ok(match text {
            "all" => Self::All,
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "none" => Self::None,
            other => return Err(UnknownLevel(other.to_owned())),
        })
    }
}

impl LogLevel {
    fn filter(self) -> Targets {
        let all = |level| Targets::new().with_default(level);
        let ours = |level| all(LevelFilter::WARN).with_target("metallb", level);
        match self {
            Self::All => all(LevelFilter::TRACE),
            Self::Debug => ours(LevelFilter::DEBUG),
            Self::Info => ours(LevelFilter::INFO),
            Self::Warn => all(LevelFilter::WARN),
            Self::Error => all(LevelFilter::ERROR),
            Self::None => all(LevelFilter::OFF),
        }
    }
}

/// Replaces the filter of the running process.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Starts logging. Once a process.
pub fn init(level: LogLevel) {
    let (filter, handle) = reload::Layer::new(level.filter());
    let output = Mutex::new(Sink::to(std::io::stdout()));
    let lines = tracing_subscriber::fmt::layer().event_format(JsonLine).with_writer(output);
    tracing_subscriber::registry().with(filter).with(lines).init();
    let _ = FILTER.set(handle); // `init` above has refused a second time
}

/// Logs at `level` from now on. False when logging was never started.
pub fn set_level(level: LogLevel) -> bool {
    FILTER.get().is_some_and(|filter| filter.reload(level.filter()).is_ok())
}

/// One event, one line, one JSON object.
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writeln!(writer, "{}", line(Timestamp::now(), event))
    }
}

fn line(now: Timestamp, event: &Event<'_>) -> Value {
    let metadata = event.metadata();
    let level = match *metadata.level() {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug", // Go's logger has no finer one
    };
    let mut fields = Fields(Map::new());
    fields.0.insert("ts".into(), format!("{now:.3}").into());
    fields.0.insert("level".into(), level.into());
    if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
        fields.0.insert("caller".into(), format!("{file}:{line}").into());
    }
    event.record(&mut fields);
    Value::Object(fields.0)
}

struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        let name = match field.name() {
            "message" => "msg",
            other => other,
        };
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(Some(value), |error| error.source()).map(ToString::to_string);
        self.insert(field, causes.collect::<Vec<_>>().join(": "));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::Context;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<Value>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(line(Timestamp::UNIX_EPOCH, event));
        }
    }

    fn logged(level: LogLevel, log: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(level.filter()).with(lines.clone());
        tracing::subscriber::with_default(subscriber, log);
        lines.0.lock().unwrap().clone()
    }

    #[test]
    fn a_line_has_the_keys_that_upstreams_users_grep_for() {
        let lines = logged(LogLevel::Info, || {
            tracing::warn!(event = "serviceAnnounced", node = %"n1", count = 2, "announcing");
        });
        let line = lines[0].as_object().unwrap();
        assert_eq!(line["ts"], "1970-01-01T00:00:00.000Z");
        assert_eq!(line["level"], "warn");
        assert!(line["caller"].as_str().unwrap().contains("logging.rs:"), "{line:?}");
        assert_eq!(line["msg"], "announcing");
        assert_eq!(
            (&line["event"], &line["node"], &line["count"]),
            (&"serviceAnnounced".into(), &"n1".into(), &2.into())
        );
    }

    #[test]
    fn libraries_are_heard_from_warn_up_and_ours_from_the_level_asked_for() {
        let log = || {
            tracing::debug!(target: "metallb_core", "ours, details");
            tracing::info!(target: "metallb_core", "ours");
            tracing::info!(target: "hyper", "theirs");
            tracing::warn!(target: "hyper", "theirs, a warning");
        };
        let messages = |level| logged(level, log).iter().map(|line| line["msg"].clone()).collect::<Vec<_>>();
        assert_eq!(messages(LogLevel::Info), ["ours", "theirs, a warning"]);
        assert_eq!(messages(LogLevel::Debug), ["ours, details", "ours", "theirs, a warning"]);
        assert_eq!(messages(LogLevel::All).len(), 4);
        assert_eq!(messages(LogLevel::None), [""; 0]);
    }

    #[test]
    fn levels_are_upstreams_words() {
        assert_eq!("all".parse(), Ok(LogLevel::All));
        assert_eq!("verbose".parse::<LogLevel>(), Err(UnknownLevel("verbose".into())));
    }
}
