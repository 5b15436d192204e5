//! Three lines: a child, its parent and a call, all as JSON. A child that is narrower permits nothing
//! that its parent does not; everything is narrower than itself and than any arguments.
#![no_main]

use deputy::{
    base::json::{self, Limits, Value},
    model::{
        constraint::{Arguments, SubjectClaims},
        details,
    },
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let mut read = || arguments(lines.next()?);
    let (Some(child), Some(parent)) = (read(), read()) else { return };
    assert!(child.is_narrower_than(&child) && parent.is_narrower_than(&Arguments::Any));
    let call = lines.next().and_then(|line| json::parse(line.as_bytes(), &Limits::DEFAULT).ok());
    let Some(Value::Object(call)) = call else { return };
    if child.is_narrower_than(&parent) && child.check(&call).is_ok() {
        assert_eq!(parent.check(&call), Ok(()));
    }
});

fn arguments(line: &str) -> Option<Arguments> {
    let tools = json::parse(format!(r#"{{"t":{line}}}"#).as_bytes(), &Limits::DEFAULT).ok()?;
    let tools = details::tools_from_json(tools.as_object()?, "").ok()?;
    let tools = details::resolve(tools, &SubjectClaims::default()).ok()?;
    tools.into_values().next()
}
