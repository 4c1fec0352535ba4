//! The formats that a schema may ask of a text or a number; of one that is not known here everything is accepted, as the
//! server does.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use regex::Regex;
use serde_json::Value;

macro_rules! pattern {
    ($text:expr) => {
        LazyLock::new(|| Regex::new($text).ok())
    };
}
static MAC: LazyLock<Option<Regex>> = pattern!("^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$");
static UUID: LazyLock<Option<Regex>> =
    pattern!("(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$");
static URI: LazyLock<Option<Regex>> = pattern!("^([A-Za-z][A-Za-z0-9+.-]*:[^\\s]+|/[^\\s]*)$");
static EMAIL: LazyLock<Option<Regex>> = pattern!("^([^<>]* )?<?[^@\\s<>]+@[^@\\s<>]+>?$");
static HOSTNAME: LazyLock<Option<Regex>> = pattern!("^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$");
static BYTE: LazyLock<Option<Regex>> = pattern!("^[A-Za-z0-9+/]*={0,2}$");
static COLOUR: LazyLock<Option<Regex>> = pattern!("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$");
static DURATION: LazyLock<Option<Regex>> =
    pattern!("^[+-]?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$");
static LONG_DURATION: LazyLock<Option<Regex>> =
    pattern!("^[0-9]+ *(ns|us|µs|ms|s|sec|second|m|min|minute|h|hr|hour|d|day|w|week)s?$");

/// Whether a number is one of that format.
pub fn fits(number: &Value, format: &str) -> bool {
    let whole =
        number.as_i64().or_else(|| number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64));
    match format {
        "int32" => whole.is_some_and(|number| i32::try_from(number).is_ok()),
        _ => whole.is_some(),
    }
}

/// Whether a text is one of that format.
pub fn is_valid(format: &str, text: &str) -> bool {
    match format {
        "date-time" => is_date_time(text),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => is_duration(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_network(text),
        "mac" => is_match(&MAC, text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => is_match(&UUID, text),
        "uri" => is_match(&URI, text),
        "email" => is_match(&EMAIL, text),
        "hostname" => text.len() <= 253 && is_match(&HOSTNAME, text),
        "byte" => is_match(&BYTE, text) && text.len().is_multiple_of(4),
        "hexcolor" => is_match(&COLOUR, text),
        _ => true,
    }
}

fn is_match(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

fn is_date_time(text: &str) -> bool {
    text.len() >= 20 && text.parse::<jiff::Timestamp>().is_ok()
}

fn is_duration(text: &str) -> bool {
    is_match(&DURATION, text) || is_match(&LONG_DURATION, text)
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let max = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= max)
}
