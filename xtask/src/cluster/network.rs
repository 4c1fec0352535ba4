//! The cluster's networks: Docker's, with fixed addresses, and the pods', made of routes.
//!
//! Each node gets a CNI configuration for its own range of pods, and a small systemd unit that sets the routes to the
//! other nodes' ranges. As the unit is part of the node, routes are back after any restart, whoever caused it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::docker::Docker;
use super::record::{Node, Record};
use crate::process;

const ROUTES: &str = "operator-lite-routes";

/// The name of a cluster's Docker network.
#[must_use]
pub fn name(cluster: &str) -> String {
    format!("kind-{cluster}")
}

/// Makes a cluster's Docker network with a range of its own, so that nodes can be given fixed addresses.
pub fn create(docker: &Docker, network: &str) -> Result<String> {
    let used = used_ranges(docker)?;
    let mut complaint = anyhow!("all ranges are in use");
    for third in 0..=255 {
        let subnet = format!("10.201.{third}.0/24");
        if used.iter().any(|range| overlaps(range, &subnet)) {
            continue;
        }
        let label = "dev.operator-lite.cluster-network";
        let arguments = ["network", "create", "--driver", "bridge", "--subnet", &subnet, "--label", label, network];
        match docker.output("make a Docker network", &arguments) {
            Ok(_) => return Ok(subnet),
            Err(error) if error.to_string().contains("overlap") => complaint = error,
            Err(error) => return Err(error),
        }
    }
    Err(complaint.context("found no free range for a Docker network below 10.201.0.0/16"))
}

/// Reads what each node was given: its address from Docker, its range of pods from Kubernetes.
pub fn discover(docker: &Docker, record: &Record, mut kubectl: impl FnMut() -> Command) -> Result<Vec<Node>> {
    let expected = record.workers as usize + 1;
    let ranges = process::wait_for("ranges of pods for all nodes", Duration::from_secs(90), || {
        let mut command = kubectl();
        command.args(["get", "nodes", "--output", "json"]);
        let text = process::output("list nodes", &mut command, Duration::from_secs(20)).map_err(|e| e.to_string())?;
        let list: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let ranges = pod_ranges(&list);
        if ranges.len() == expected { Ok(ranges) } else { Err(format!("{} of {expected} have one", ranges.len())) }
    })?;
    let mut nodes = Vec::new();
    for (name, pod_range) in ranges {
        let address = address(docker, record, &name)?
            .with_context(|| format!("Docker gave the node {name} no address in the network {}", record.network))?;
        nodes.push(Node { name, address, pod_range });
    }
    nodes.sort_by_key(|node| (!node.name.ends_with("control-plane"), node.name.clone()));
    Ok(nodes)
}

/// Gives every node its pod network.
pub fn configure(docker: &Docker, nodes: &[Node]) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(move || docker.exec_script(&node.name, &node_script(node, nodes)).map(drop)))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread ended badly")))
    })
    .context("failed to set up the network of pods")
}

/// Sets a running node's routes again, after its link was away.
pub fn restore_routes(docker: &Docker, node: &str) -> Result<()> {
    docker.exec(node, &["systemctl", "restart", ROUTES]).map(drop)
}

/// Takes a node off the network.
pub fn disconnect(docker: &Docker, record: &Record, node: &Node) -> Result<()> {
    let arguments = ["network", "disconnect", "--force", &record.network, &node.name];
    docker.output(&format!("take {} off the network", node.name), &arguments).map(drop)
}

/// Puts a node on the network, at the address it had from the start.
pub fn connect(docker: &Docker, record: &Record, node: &Node) -> Result<()> {
    let arguments = ["network", "connect", "--ip", &node.address, &record.network, &node.name];
    docker.output(&format!("put {} on the network", node.name), &arguments).map(drop)
}

/// Whether Docker has the node on the cluster's network.
pub fn is_connected(docker: &Docker, record: &Record, node: &str) -> Result<bool> {
    Ok(docker.inspect(node)?["NetworkSettings"]["Networks"].get(&record.network).is_some())
}

/// The address of a running node in the cluster's network; none while it is off the network.
pub fn address(docker: &Docker, record: &Record, node: &str) -> Result<Option<String>> {
    let networks = docker.inspect(node)?["NetworkSettings"]["Networks"].clone();
    let address = networks[&record.network]["IPAddress"].as_str().filter(|address| !address.is_empty());
    Ok(address.map(str::to_owned))
}

fn node_script(node: &Node, nodes: &[Node]) -> String {
    let mut script = format!(
        "mkdir -p /etc/cni/net.d\n\
         cat > /etc/cni/net.d/.operator-lite.new <<'END'\n{conflist}\nEND\n\
         cat > /usr/local/sbin/{ROUTES} <<'END'\n{routes}END\n\
         cat > /etc/systemd/system/{ROUTES}.service <<'END'\n{unit}END\n\
         chmod 755 /usr/local/sbin/{ROUTES}\n\
         mv /etc/cni/net.d/.operator-lite.new /etc/cni/net.d/10-operator-lite.conflist\n",
        conflist = conflist(&node.pod_range),
        routes = routes(node, nodes),
        unit = UNIT,
    );
    script.push_str(&format!("systemctl --quiet enable {ROUTES}\nsystemctl restart {ROUTES}\n"));
    script
}

const UNIT: &str = "[Unit]
Description=Routes to the pods of the other nodes
Before=kubelet.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/operator-lite-routes
[Install]
WantedBy=multi-user.target
";

fn routes(node: &Node, nodes: &[Node]) -> String {
    let mut script = "#!/bin/sh\nset -eu\n".to_owned();
    for other in nodes.iter().filter(|other| other.name != node.name) {
        script.push_str(&format!("ip route replace {} via {}\n", other.pod_range, other.address));
    }
    script
}

fn conflist(pod_range: &str) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "operator-lite",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-ipam-state",
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "ranges": [[{"subnet": pod_range}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn pod_ranges(nodes: &Value) -> Vec<(String, String)> {
    let items = nodes["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    items.iter().filter_map(|node| Some((text(&node["metadata"]["name"])?, text(&node["spec"]["podCIDR"])?))).collect()
}

/// Ranges that Docker's networks and the machine's routes already have.
fn used_ranges(docker: &Docker) -> Result<Vec<String>> {
    let ids = docker.output("list Docker networks", &["network", "ls", "--quiet"])?;
    let mut arguments = vec!["network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}} {{end}}"];
    arguments.extend(ids.lines());
    let mut text = docker.output("inspect Docker networks", &arguments)?;
    let mut command = Command::new("ip");
    command.args(["-4", "route", "show"]);
    // Only a help: Docker itself refuses what overlaps its own networks.
    text.push_str(&process::output("list routes", &mut command, Duration::from_secs(10)).unwrap_or_default());
    Ok(text.split_whitespace().filter(|word| word.contains('/')).map(str::to_owned).collect())
}

fn overlaps(one: &str, other: &str) -> bool {
    let parse = |range: &str| -> Option<(u32, u32)> {
        let (address, length) = range.split_once('/')?;
        Some((u32::from(address.parse::<std::net::Ipv4Addr>().ok()?), length.parse().ok()?))
    };
    let (Some((first, first_length)), Some((second, second_length))) = (parse(one), parse(other)) else { return false };
    let shift = 32 - first_length.min(second_length);
    shift >= 32 || first >> shift == second >> shift
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, number: u8) -> Node {
        Node { name: name.into(), address: format!("10.201.0.{number}"), pod_range: format!("10.244.{number}.0/24") }
    }

    #[test]
    fn a_node_has_routes_to_all_others_and_none_to_itself() {
        let nodes = [node("a", 1), node("b", 2), node("c", 3)];
        let script = routes(&nodes[1], &nodes);
        assert!(script.contains("ip route replace 10.244.1.0/24 via 10.201.0.1\n"));
        assert!(script.contains("ip route replace 10.244.3.0/24 via 10.201.0.3\n"));
        assert!(!script.contains("10.244.2.0"));
    }

    #[test]
    fn the_conflist_hands_out_the_nodes_own_range() {
        let list = conflist("10.244.7.0/24");
        assert_eq!(list["cniVersion"], "1.0.0");
        assert_eq!(list["plugins"][0]["ipMasq"], false);
        assert_eq!(list["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.244.7.0/24");
        assert_eq!(list["plugins"][1]["type"], "portmap");
    }

    #[test]
    fn nodes_without_a_range_do_not_count() {
        let list = json!({"items": [
            {"metadata": {"name": "a"}, "spec": {"podCIDR": "10.244.0.0/24"}},
            {"metadata": {"name": "b"}, "spec": {}},
        ]});
        assert_eq!(pod_ranges(&list), [("a".to_owned(), "10.244.0.0/24".to_owned())]);
    }

    #[test]
    fn ranges_overlap_if_one_holds_the_other() {
        assert!(overlaps("10.201.0.0/16", "10.201.3.0/24"));
        assert!(overlaps("10.201.3.0/24", "10.201.3.128/25"));
        assert!(overlaps("0.0.0.0/0", "10.201.3.0/24"));
        assert!(!overlaps("10.201.2.0/24", "10.201.3.0/24"));
        assert!(!overlaps("fc00::/7", "10.201.3.0/24"));
    }
}
