//! Exact decimal numbers. Never a float: `0.1` is one tenth, and 2^53 + 1 differs from 2^53.

use std::{cmp::Ordering, fmt};

/// An exact decimal with at most 34 significant digits and an exponent within ±308.
///
/// Held as `coefficient × 10^exponent` with a coefficient that does not end in zero, so that one
/// value has one form: `1`, `1.0` and `1e0` are equal, and so are `0` and `-0`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    coefficient: i128,
    exponent: i16,
}

/// As many digits as IEEE 754 decimal128 holds; 10^34 also fits an `i128` with room to align.
const MAX_DIGITS: u32 = 34;
/// The reach of a double, so that no value here is infinite elsewhere.
const MAX_EXPONENT: i64 = 308;
/// From here on ECMAScript, and so RFC 8785, writes an exponent.
const MAX_PLAIN: i64 = 21;

impl Number {
    /// The number as an integer. `None` with a fraction, or beyond 64 bits.
    pub fn as_i64(self) -> Option<i64> {
        let power = 10_i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        i64::try_from(self.coefficient.checked_mul(power)?).ok()
    }

    /// The largest integer that is not greater. `None` beyond 64 bits.
    pub fn floor_i64(self) -> Option<i64> {
        if self.exponent >= 0 {
            return self.as_i64();
        }
        let floor = match 10_i128.checked_pow(u32::from(self.exponent.unsigned_abs())) {
            Some(power) => self.coefficient.div_euclid(power),
            // The power is beyond 10^38 and the coefficient below 10^34: less than one.
            None => self.coefficient.signum().min(0),
        };
        i64::try_from(floor).ok()
    }

    /// The number times 10^`places`, if that is an integer of 64 bits: a fixed-point value, exactly.
    pub fn fixed_i64(self, places: u8) -> Option<i64> {
        let exponent = self.exponent.checked_add(i16::from(places))?;
        Number { exponent, ..self }.as_i64()
    }

    /// Whether the number has no fraction.
    pub const fn is_integer(self) -> bool {
        self.exponent >= 0
    }

    /// Reads a literal that already has the shape of RFC 8259 section 6. `None` when it has more
    /// digits or a larger exponent than we hold; zeros at either end do not count as digits.
    pub(super) fn from_literal(literal: &str) -> Option<Number> {
        let (negative, unsigned) = match literal.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, literal),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, written_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (coefficient, trailing) = coefficient(mantissa)?;
        let exponent = exponent.checked_add(trailing)?;
        Number::new(if negative { coefficient.checked_neg()? } else { coefficient }, exponent)
    }

    /// `coefficient` must not end in zero unless it is zero.
    fn new(coefficient: i128, exponent: i64) -> Option<Number> {
        if coefficient == 0 {
            return Some(Number { coefficient: 0, exponent: 0 });
        }
        let number = Number { coefficient, exponent: exponent.try_into().ok()? };
        (number.magnitude().abs() <= MAX_EXPONENT).then_some(number)
    }

    fn digits(self) -> u32 {
        self.coefficient.unsigned_abs().checked_ilog10().unwrap_or(0).saturating_add(1)
    }

    /// The exponent of the leading digit.
    fn magnitude(self) -> i64 {
        i64::from(self.exponent).saturating_add(i64::from(self.digits())).saturating_sub(1)
    }

    /// The coefficient stretched to 34 digits, so that two of one magnitude compare as integers.
    fn aligned(self) -> u128 {
        let missing = MAX_DIGITS.saturating_sub(self.digits());
        self.coefficient.unsigned_abs().saturating_mul(10_u128.saturating_pow(missing))
    }
}

/// The digits without the point and the zeros around them, and the exponent of the last digit.
fn coefficient(mantissa: &str) -> Option<(i128, i64)> {
    let (mut coefficient, mut digits) = (0_i128, 0_u32);
    let (mut zeros, mut exponent, mut in_fraction) = (0_u32, 0_i64, false);
    for byte in mantissa.bytes() {
        if byte == b'.' {
            in_fraction = true;
            continue;
        }
        if in_fraction {
            exponent = exponent.checked_sub(1)?;
        }
        if byte == b'0' {
            if coefficient != 0 {
                zeros = zeros.checked_add(1)?;
            }
            continue;
        }
        let shift = zeros.checked_add(1)?;
        digits = digits.checked_add(shift).filter(|digits| *digits <= MAX_DIGITS)?;
        coefficient = coefficient
            .checked_mul(10_i128.checked_pow(shift)?)?
            .checked_add(i128::from(byte.checked_sub(b'0')?))?;
        zeros = 0;
    }
    Some((coefficient, exponent.checked_add(i64::from(zeros))?))
}

/// `+17`, `-05`. `None` beyond ±308 however it is spelled, so that no length of digits matters.
fn written_exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut exponent = 0_i64;
    for byte in digits.bytes() {
        let digit = i64::from(byte.checked_sub(b'0')?);
        exponent = exponent.checked_mul(10)?.checked_add(digit)?;
        if exponent > MAX_EXPONENT {
            return None;
        }
    }
    if negative { exponent.checked_neg() } else { Some(exponent) }
}

impl From<i64> for Number {
    fn from(integer: i64) -> Number {
        let (mut coefficient, mut exponent) = (i128::from(integer), 0_i16);
        while coefficient != 0 && coefficient.checked_rem(10) == Some(0) {
            coefficient = coefficient.checked_div(10).unwrap_or(0);
            exponent = exponent.saturating_add(1);
        }
        Number { coefficient, exponent }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.coefficient.signum();
        sign.cmp(&other.coefficient.signum()).then_with(|| {
            let size = self
                .magnitude()
                .cmp(&other.magnitude())
                .then_with(|| self.aligned().cmp(&other.aligned()));
            match sign {
                0 => Ordering::Equal,
                1 => size,
                _ => size.reverse(),
            }
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    /// One text for one value, in the layout of RFC 8785 section 3.2.2.3 (that of ECMAScript)
    /// but with every digit kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.coefficient < 0 {
            f.write_str("-")?;
        }
        let digits = self.coefficient.unsigned_abs().to_string();
        let magnitude = self.magnitude();
        if self.exponent >= 0 && magnitude < MAX_PLAIN {
            let zeros = usize::try_from(self.exponent).unwrap_or(0);
            return write!(f, "{digits}{:0<zeros$}", "");
        }
        if (0..MAX_PLAIN).contains(&magnitude) {
            let (whole, fraction) = split(&digits, magnitude.saturating_add(1));
            return write!(f, "{whole}.{fraction}");
        }
        if (-6..0).contains(&magnitude) {
            let zeros = usize::try_from(magnitude.saturating_neg()).unwrap_or(0).saturating_sub(1);
            return write!(f, "0.{:0<zeros$}{digits}", "");
        }
        let (whole, fraction) = split(&digits, 1);
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{whole}{point}{fraction}e{magnitude:+}")
    }
}

fn split(digits: &str, at: i64) -> (&str, &str) {
    usize::try_from(at).ok().and_then(|at| digits.split_at_checked(at)).unwrap_or((digits, ""))
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
