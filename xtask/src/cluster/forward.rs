//! Lets the user's own programs reach a port inside the private network namespace.
//!
//! One small process a cluster listens on the machine's loopback address and connects, from inside the namespace, to
//! the same port there; so the same kubeconfig works on both sides.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::private_docker::PrivateDocker;
use crate::{paths, process};

/// Starts the forwarder of a cluster unless it already serves; replaces one that serves a namespace that is gone.
pub fn ensure(cluster: &str, port: u16, docker: &PrivateDocker) -> Result<()> {
    let namespace = docker.network_namespace()?;
    let marker = marker(cluster)?;
    let running = process::find_by_argument(&marker);
    let serves = running.iter().any(|name| same_namespace(&name.id.to_string(), &namespace));
    if serves && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
        return Ok(());
    }
    stop(cluster)?;
    let log_path = paths::cluster(cluster)?.join("forwarder.log");
    let log = process::open_log(&log_path, "start")?;
    let second = log.try_clone().context("failed to share the log file")?;
    let helper = match docker.helper() {
        helper if helper.is_file() => helper,
        _ => docker.install_helper()?,
    };
    let mut command = Command::new("setsid");
    command.arg(helper).args([super::INTERNAL, "forward", &port.to_string()]).arg(&namespace).arg(&marker);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::from(log)).stderr(Stdio::from(second));
    command.spawn().context("failed to start the forwarder")?;
    process::wait_for("the forwarder of the API server's port", Duration::from_secs(10), || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|error| format!("port {port}: {error}"))
    })
    .with_context(|| format!("log: {}", log_path.display()))?;
    Ok(())
}

/// Ends the forwarder of a cluster.
pub fn stop(cluster: &str) -> Result<()> {
    for name in process::find_by_argument(&marker(cluster)?) {
        process::kill(name, "the forwarder")?;
    }
    Ok(())
}

/// Whether a forwarder of this cluster runs.
pub fn is_running(cluster: &str) -> Result<bool> {
    Ok(!process::find_by_argument(&marker(cluster)?).is_empty())
}

/// The forwarder itself.
pub fn run(port: u16, namespace: &Path) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("failed to listen on 127.0.0.1:{port}"))?;
    let inside = File::open(namespace).with_context(|| format!("failed to open {}", namespace.display()))?;
    // The listener stays where it was made; every socket made from here on, also by new threads, is inside.
    move_into_link_name_space(inside.as_fd(), Some(LinkNameSpaceType::Network))
        .context("failed to enter the network namespace")?;
    for connection in listener.incoming().flatten() {
        thread::spawn(move || {
            // A port that is not published for a moment is the caller's to retry.
            if let Ok(target) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                let _ = join(connection, target);
            }
        });
    }
    Ok(())
}

/// Copies both ways until both sides have ended.
fn join(outside: TcpStream, inside: TcpStream) -> std::io::Result<()> {
    let _ = outside.set_nodelay(true);
    let _ = inside.set_nodelay(true);
    let (from_outside, to_inside) = (outside.try_clone()?, inside.try_clone()?);
    let there = thread::spawn(move || copy(from_outside, to_inside));
    copy(inside, outside);
    let _ = there.join();
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                // Only this direction has ended: a watch may still be answered.
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(count) if to.write_all(&buffer[..count]).is_ok() => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            _ => {
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

/// A path among the forwarder's arguments by which it is found.
fn marker(cluster: &str) -> Result<PathBuf> {
    Ok(paths::cluster(cluster)?.join("forwarder"))
}

fn same_namespace(process: &str, namespace: &Path) -> bool {
    let own = std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
    own.is_some() && own == std::fs::read_link(namespace).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_after_the_end_of_the_question_still_arrives() {
        let (front, back) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let address = back.local_addr().unwrap();
        let mut client = TcpStream::connect(front.local_addr().unwrap()).unwrap();
        let outside = front.accept().unwrap().0;
        thread::spawn(move || join(outside, TcpStream::connect(address).unwrap()));
        let mut server = back.accept().unwrap().0;
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "question");
        server.write_all(b"answer").unwrap();
        drop(server);
        text.clear();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "answer");
    }
}
