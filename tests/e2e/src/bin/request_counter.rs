//! A small HTTP load client: a fixed rate of requests to one URL, a new connection for each, and the sums as lines of
//! JSON. It runs until it is told to stop (SIGTERM, SIGINT, or `--duration`), then waits for the answers under way.
//!
//! The rate is kept whatever the server does: a slow answer delays no other request, so a server that stands still
//! shows as failures and not as fewer requests. It speaks just enough HTTP/1.1 for that, over plain TCP.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;
use e2e::requests::{Line, Summary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

const ERRORS_KEPT: usize = 10;
const RESOLVE_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_MAX_BYTES: u64 = 1024 * 1024;

/// Counts requests: a fixed rate, a new connection for each.
#[derive(Parser)]
struct Arguments {
    /// Where to: `http://HOST[:PORT][/PATH]`.
    url: String,
    /// Requests a second.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Seconds after which to stop; without it, on SIGTERM or SIGINT.
    #[arg(long)]
    duration: Option<u64>,
    /// Milliseconds a request may take, from connecting to the last byte.
    #[arg(long, default_value_t = 5000)]
    timeout_ms: u64,
}

/// Where the requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("http://").with_context(|| format!("{url:?} does not start with http://"))?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().with_context(|| format!("{port:?} is no port number"))?),
            None => (authority, 80),
        };
        ensure!(!host.is_empty(), "{url:?} names no host");
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }

    /// Resolves the name, once: the address of a Service does not change, and the counter shall not test DNS.
    async fn resolve(&self) -> Result<SocketAddr> {
        let started = Instant::now();
        loop {
            let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map(|mut all| all.next());
            match found {
                Ok(Some(address)) => return Ok(address),
                _ if started.elapsed() < RESOLVE_LIMIT => tokio::time::sleep(Duration::from_millis(250)).await,
                Ok(None) => bail!("{} has no address", self.host),
                Err(error) => return Err(error).with_context(|| format!("failed to resolve {}", self.host)),
            }
        }
    }

    async fn request(&self, address: SocketAddr) -> Result<()> {
        let mut connection = TcpStream::connect(address).await.context("failed to connect")?;
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.path, self.host);
        connection.write_all(request.as_bytes()).await.context("failed to send")?;
        let mut answer = Vec::new();
        connection.take(ANSWER_MAX_BYTES).read_to_end(&mut answer).await.context("failed to read the answer")?;
        check_answer(&answer)
    }
}

/// An answer counts if it has status 200 and came to its end.
fn check_answer(answer: &[u8]) -> Result<()> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("the answer broke off in its head")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 200") || status.starts_with("HTTP/1.0 200"), "answered {status:?}");
    let length = head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let received = answer.len() - end - 4;
    match length {
        Some(length) if received < length => bail!("the answer broke off after {received} of {length} bytes"),
        _ => Ok(()),
    }
}

/// The sums, and the requests under way.
struct Counter {
    started: Instant,
    sums: Summary,
    under_way: JoinSet<(Duration, Result<()>)>,
}

impl Counter {
    fn new() -> Self {
        Self { started: Instant::now(), sums: Summary::default(), under_way: JoinSet::new() }
    }

    fn send(&mut self, target: &Target, address: SocketAddr, limit: Duration) {
        self.sums.sent += 1;
        let target = target.clone();
        self.under_way.spawn(async move {
            let started = Instant::now();
            let result = tokio::time::timeout(limit, target.request(address)).await;
            let result = result.unwrap_or_else(|_| Err(anyhow!("no complete answer within {} ms", limit.as_millis())));
            (started.elapsed(), result)
        });
    }

    fn ended(&mut self, took: Duration, result: &Result<()>) {
        match result {
            Ok(()) => self.sums.succeeded += 1,
            Err(error) => {
                self.sums.failed += 1;
                if self.sums.first_errors.len() < ERRORS_KEPT {
                    let text = format!("after {:.1} s: {error:#}", self.started.elapsed().as_secs_f64());
                    self.sums.first_errors.push(text);
                }
            }
        }
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.sums.slowest_milliseconds = self.sums.slowest_milliseconds.max(took);
    }

    fn sums(&self) -> Summary {
        Summary { seconds: self.started.elapsed().as_secs_f64(), ..self.sums.clone() }
    }
}

async fn run(arguments: &Arguments) -> Result<Summary> {
    let target = Target::parse(&arguments.url)?;
    let limit = Duration::from_millis(arguments.timeout_ms);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let address = tokio::select! {
        address = target.resolve() => address?,
        _ = terminate.recv() => return Ok(Summary::default()),
        _ = interrupt.recv() => return Ok(Summary::default()),
    };
    let deadline = async {
        match arguments.duration {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(deadline);

    let mut counter = Counter::new();
    let mut next_request = tokio::time::interval(Duration::from_secs(1) / arguments.rate);
    // Ticks that were missed while the machine was busy are made up for, so that the rate is kept on average.
    next_request.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let second = Duration::from_secs(1);
    let mut next_line = tokio::time::interval_at(tokio::time::Instant::now() + second, second);
    loop {
        tokio::select! {
            _ = next_request.tick() => counter.send(&target, address, limit),
            Some(ended) = counter.under_way.join_next() => {
                let (took, result) = ended?;
                counter.ended(took, &result);
            }
            _ = next_line.tick() => print(&Line::Progress(counter.sums()))?,
            () = &mut deadline => break,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    while let Some(ended) = counter.under_way.join_next().await {
        let (took, result) = ended?;
        counter.ended(took, &result);
    }
    Ok(counter.sums())
}

fn print(line: &Line) -> Result<()> {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, line)?;
    writeln!(output)?;
    output.flush()?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await.and_then(|sums| print(&Line::Summary(sums))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("request-counter: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers each connection with the next of these answers, then with the last one for ever.
    async fn serve(answers: Vec<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hostname", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for number in 0.. {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut head = [0; 512];
                let _ = connection.read(&mut head).await.unwrap();
                let answer = answers[number.min(answers.len() - 1)];
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    fn arguments(url: String) -> Arguments {
        Arguments { url, rate: 50, duration: Some(1), timeout_ms: 500 }
    }

    #[tokio::test]
    async fn each_good_answer_counts_once() {
        let url = serve(vec!["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]).await;
        let sums = run(&arguments(url)).await.unwrap();
        assert!(sums.sent >= 40 && sums.succeeded == sums.sent && sums.failed == 0, "{sums:?}");
    }

    #[tokio::test]
    async fn a_bad_status_a_short_body_and_a_closed_connection_count_as_failed() {
        let bad = ["HTTP/1.1 503 Busy\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf", ""];
        let good = "HTTP/1.1 200 OK\r\n\r\nok";
        let url = serve(vec![bad[0], bad[1], bad[2], good]).await;
        let sums = run(&arguments(url)).await.unwrap();
        assert_eq!(sums.failed, 3, "{sums:?}");
        assert_eq!(sums.succeeded + sums.failed, sums.sent);
        assert_eq!(sums.first_errors.len(), 3);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_fails_every_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let sums = run(&arguments(url)).await.unwrap();
        assert!(sums.sent > 0 && sums.failed == sums.sent, "{sums:?}");
    }

    #[tokio::test]
    async fn a_server_that_never_answers_fails_after_the_time_out_and_delays_no_other_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sums = run(&arguments(url)).await.unwrap();
        assert!(sums.sent >= 40 && sums.failed == sums.sent, "{sums:?}");
    }

    #[test]
    fn urls_are_taken_apart() {
        let target = Target::parse("http://web.demo:8080/hostname").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.path.as_str()), ("web.demo", 8080, "/hostname"));
        assert_eq!(Target::parse("http://web").unwrap().path, "/");
        assert!(Target::parse("https://web").is_err());
        assert!(Target::parse("http://:80/").is_err());
    }
}
