//! JSON that no two readers understand differently: no member twice, no number that changes when it
//! is read into 64 bits. What comes from a client or from Deputy passes here first.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

/// One JSON object, each member as it is written.
pub struct Members<'a>(Vec<(String, &'a RawValue)>);

/// Any JSON in which no object has a member twice.
struct WithoutRepeats;

struct MembersVisitor;

struct RepeatsVisitor;

impl<'a> Members<'a> {
    /// Reads an object. Its values are not looked into.
    pub fn of(text: &'a str) -> Option<Members<'a>> {
        serde_json::from_str(text).ok()
    }

    /// The JSON text of a member.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value.get())
    }
}

/// Whether `text` is one JSON value that everybody reads alike.
pub fn is_strict(text: &str) -> bool {
    serde_json::from_str::<WithoutRepeats>(text).is_ok() && numbers(text).all(is_kept)
}

/// One strict JSON object.
pub fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let text = str::from_utf8(bytes).ok()?;
    serde_json::from_str::<WithoutRepeats>(text).ok()?;
    serde_json::from_str(text).ok()
}

/// The same value with its members in one order, whatever order they came in.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            let members = members.into_iter().map(|(name, value)| (name.clone(), sorted(value)));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        _ => value.clone(),
    }
}

/// The numbers of a text that is JSON, as they are written.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    outside_strings(text)
        .flat_map(move |part| part.split(move |c| !is_number(c)))
        // `true` and `false` leave an `e`.
        .filter(|run| run.contains(|c: char| c.is_ascii_digit()))
}

/// What of a JSON text is not inside a string.
fn outside_strings(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (outside, from_string) = match rest?.split_once('"') {
            Some((outside, after)) => (outside, after_string(after)),
            None => (rest?, None),
        };
        rest = from_string;
        Some(outside)
    })
}

/// What follows the string whose opening quote was just read.
fn after_string(text: &str) -> Option<&str> {
    let mut escaped = false;
    let end = text.find(|c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    })?;
    text.get(end..)?.strip_prefix('"')
}

/// Whether a number means the same after it was read into 64 bits. `50.00000000000000001` would be
/// decided on as it stands and reach the tool as 50.
fn is_kept(number: &str) -> bool {
    if !number.contains(['.', 'e', 'E']) {
        return number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    }
    let Ok(read) = number.parse::<f64>() else { return false };
    read.is_finite() && decimal(number) == decimal(&format!("{read:e}"))
}

/// A decimal number in one form for each value: sign, digits without zeros at either end, and the
/// power of ten of the last digit. `None` if the exponent is absurd.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len().checked_sub(kept.len())?).ok()?;
    let exponent = exponent.trim_start_matches('+').parse::<i64>().ok()?;
    let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let digits = kept.trim_start_matches('0');
    if digits.is_empty() {
        return Some((false, String::new(), 0));
    }
    Some((negative, digits.to_owned(), exponent.checked_add(dropped)?))
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MembersVisitor)
    }
}

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry::<String, &RawValue>()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

impl<'de> Deserialize<'de> for WithoutRepeats {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RepeatsVisitor)
    }
}

impl<'de> Visitor<'de> for RepeatsVisitor {
    type Value = WithoutRepeats;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(WithoutRepeats)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(WithoutRepeats)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(WithoutRepeats)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(WithoutRepeats)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(WithoutRepeats)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(WithoutRepeats)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<WithoutRepeats>()?.is_some() {}
        Ok(WithoutRepeats)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name) {
                return Err(A::Error::custom("a member is repeated"));
            }
            map.next_value::<WithoutRepeats>()?;
        }
        Ok(WithoutRepeats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_would_read_differently_is_refused() {
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":[{"c":1,"\u0063":2}]}}"#,
            "50.00000000000000000001",
            "[9007199254740993.0]",
            "18446744073709551616",
            "1e999",
            "1e-999",
            "0e99999999999999999999",
            r#"{"a":NaN}"#,
            r#""\ud800""#,
            "\u{feff}{}",
            "{} {}",
            "",
        ] {
            assert!(!is_strict(bad), "{bad}");
        }
    }

    #[test]
    fn numbers_that_mean_the_same_afterwards_are_kept() {
        for good in [
            "0",
            "-0",
            "0.0",
            "0.10",
            "-12.50e-3",
            "1E+2",
            "1e22",
            "9007199254740993",
            "18446744073709551615",
            "-9223372036854775808",
            r#"{"a":"1.00000000000000000001 \\\" 1e999","b":[true,false,null,1.5]}"#,
        ] {
            assert!(is_strict(good), "{good}");
        }
    }
}
