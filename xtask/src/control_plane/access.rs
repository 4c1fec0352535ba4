//! What lets clients into a control plane alone: a token, a key that signs those of ServiceAccounts, a kubeconfig.
//!
//! kube-apiserver makes its own certificate. The token opens a server on loopback that lives for minutes, so it is no
//! secret worth hiding.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

/// The token of the administrator.
const TOKEN: &str = "administrator";
/// The file of tokens.
pub const TOKENS: &str = "tokens.csv";
/// The folder in which kube-apiserver keeps its certificate.
pub const CERTIFICATES: &str = "certificates";
/// The certificate, which holds its authority's, too.
pub const CERTIFICATE: &str = "certificates/apiserver.crt";
/// The key that signs tokens of ServiceAccounts.
pub const SIGNING_KEY: &str = "service-account.key";
/// How kubectl reaches the server.
pub const KUBECONFIG: &str = "kubeconfig";

/// What stands before and after the number in a private key on the curve P-256 (SEC 1, version 1, without the public
/// key, which can be computed).
const KEY_HEAD: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
const KEY_TAIL: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Writes all that kube-apiserver and kubectl need to find in the folder.
pub fn write(folder: &Path, port: u16) -> Result<()> {
    let save = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    };
    save(TOKENS, &format!("{TOKEN},administrator,administrator,system:masters\n"))?;
    save(SIGNING_KEY, &signing_key()?)?;
    save(KUBECONFIG, &kubeconfig(folder, port).to_string())
}

fn kubeconfig(folder: &Path, port: u16) -> serde_json::Value {
    let cluster = json!({
        "server": format!("https://127.0.0.1:{port}"),
        "certificate-authority": folder.join(CERTIFICATE),
    });
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "alone", "cluster": cluster }],
        "users": [{ "name": "alone", "user": { "token": TOKEN } }],
        "contexts": [{ "name": "alone", "context": { "cluster": "alone", "user": "alone" } }],
        "current-context": "alone",
    })
}

fn signing_key() -> Result<String> {
    let mut number = [0; 32];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut number)).context("failed to make a key")?;
    // Between nothing and the order of the curve, which begins with 32 ones.
    number[0] = number[0] & 0x7f | 1;
    let key = base64(&[&KEY_HEAD[..], &number, &KEY_TAIL].concat());
    Ok(format!("-----BEGIN EC PRIVATE KEY-----\n{key}\n-----END EC PRIVATE KEY-----\n"))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads_what_does_not_fill_a_group() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_key_fits_on_its_line() {
        let key = signing_key().expect("key");
        // 51 bytes, as the head says: 49 within.
        assert_eq!(key.lines().nth(1).map(str::len), Some(68));
    }
}
