//! Quantities as in `500m` and `1Gi`: read exactly, and written in the one way that the server writes an amount.

use std::fmt;

const NANO: i128 = 1_000_000_000;

const BINARY: [(&str, i128); 6] =
    [("Ei", 1 << 60), ("Pi", 1 << 50), ("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

/// By powers of ten.
const DECIMAL: [(&str, i32); 10] =
    [("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("", 0), ("m", -3), ("u", -6), ("n", -9)];

/// An amount, exact to the billionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    billionths: i128,
    notation: Notation,
}

/// How an amount was written, and is written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Notation {
    /// As in `1500m`.
    Decimal,
    /// As in `1Gi`.
    Binary,
    /// As in `12e6`.
    Exponent,
}

impl Quantity {
    /// Reads an amount; `None`: it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | '-' | '.')).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let (scale, notation) = read_suffix(suffix)?;
        let (negative, number) = match number.as_bytes().first()? {
            b'-' => (true, &number[1..]),
            b'+' => (false, &number[1..]),
            _ => (false, number),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let magnitude = scale.apply(whole, fraction)?;
        Some(Self { billionths: if negative { -magnitude } else { magnitude }, notation })
    }

    /// Whether it is less than nothing.
    pub fn is_negative(self) -> bool {
        self.billionths < 0
    }

    /// The amount in billionths.
    pub fn billionths(self) -> i128 {
        self.billionths
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.billionths == 0 {
            return formatter.write_str("0");
        }
        let is_binary = self.notation == Notation::Binary && self.billionths.abs() >= 1024 * NANO;
        if is_binary && self.billionths % NANO == 0 {
            let units = self.billionths / NANO;
            let (suffix, size) = BINARY.into_iter().find(|(_, size)| units % size == 0).unwrap_or(("", 1));
            return write!(formatter, "{}{suffix}", units / size);
        }
        let fits = |(_, power): &(&str, i32)| self.billionths % 10_i128.pow((power + 9).unsigned_abs()) == 0;
        let (suffix, power) = DECIMAL.into_iter().find(fits).unwrap_or(("n", -9));
        let number = self.billionths / 10_i128.pow((power + 9).unsigned_abs());
        match self.notation {
            Notation::Exponent if power != 0 => write!(formatter, "{number}e{power}"),
            _ => write!(formatter, "{number}{suffix}"),
        }
    }
}

/// What a suffix multiplies by.
enum Scale {
    Binary(i128),
    Power(i32),
}

impl Scale {
    /// The amount in billionths, rounded up.
    fn apply(&self, whole: &str, fraction: &str) -> Option<i128> {
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let places = i32::try_from(fraction.len()).ok()?;
        match self {
            Self::Binary(size) => {
                let divisor = 10_i128.checked_pow(fraction.len().try_into().ok()?)?;
                Some(divide_up(digits.checked_mul(*size)?.checked_mul(NANO)?, divisor))
            }
            Self::Power(power) => match power + 9 - places {
                up @ 0.. => digits.checked_mul(10_i128.checked_pow(up.unsigned_abs())?),
                down => Some(divide_up(digits, 10_i128.checked_pow(down.unsigned_abs())?)),
            },
        }
    }
}

fn divide_up(dividend: i128, divisor: i128) -> i128 {
    dividend / divisor + i128::from(dividend % divisor != 0)
}

fn read_suffix(suffix: &str) -> Option<(Scale, Notation)> {
    if let Some((_, power)) = DECIMAL.into_iter().find(|(name, _)| *name == suffix) {
        return Some((Scale::Power(power), Notation::Decimal));
    }
    if let Some((_, size)) = BINARY.into_iter().find(|(name, _)| *name == suffix) {
        return Some((Scale::Binary(size), Notation::Binary));
    }
    let power = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Scale::Power(power), Notation::Exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_as_the_server_writes_it() {
        for (given, written) in [
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1000m", "1"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("100Ki", "100Ki"),
            ("0", "0"),
            ("0Gi", "0"),
            ("-1500m", "-1500m"),
            ("12e6", "12e6"),
            ("1e3", "1e3"),
            ("0.1Gi", "107374182400m"),
            (".5", "500m"),
            ("1.", "1"),
            ("512", "512"),
            ("0.0000000001", "1n"),
        ] {
            assert_eq!(
                Quantity::parse(given).map(|quantity| quantity.to_string()).as_deref(),
                Some(written),
                "{given}"
            );
        }
    }

    #[test]
    fn what_is_not_an_amount_is_none() {
        for text in ["", "Gi", "1.2.3", "1 Gi", "1gi", "--1", "1e", "e3", "."] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }
}
