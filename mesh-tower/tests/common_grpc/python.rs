//! A client of another make: Python's `grpcio`, without generated code.

use std::path::PathBuf;

/// Python with `grpcio`: `$MESH_PYTHON`, or what `.ci/prepare target/ci` has put beside the build.
///
/// `None` where nobody prepared one, which is an error in CI.
pub(crate) fn python() -> Option<PathBuf> {
    let prepared = std::env::var_os("MESH_PYTHON").map(PathBuf::from);
    let required = prepared.is_some() || std::env::var_os("CI").is_some();
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/ci/python/bin/python");
    let found = prepared.unwrap_or(own);
    let imports = std::process::Command::new(&found).args(["-c", "import grpc"]).output();
    match imports {
        Ok(output) if output.status.success() => Some(found),
        other if required => panic!("{} has no grpcio: {other:?}", found.display()),
        _ => {
            println!("skipped: no Python with grpcio at {}; `.ci/prepare target/ci` makes one", found.display());
            None
        }
    }
}

/// A message of one string is a tag, a length and the text; a small count is a tag and a byte.
pub(crate) const SCRIPT: &str = r#"
import queue, sys, grpc

def text(value, count=0):
    value = value.encode()
    return b"\x0a" + bytes([len(value)]) + value + (b"\x10" + bytes([count]) if count else b"")

raw = dict(request_serializer=lambda b: b, response_deserializer=lambda b: b)
ANSWER = [("x-want", "answer"), ("x-caller", "python")]
options = [("grpc.default_authority", "echo.example.com")]
with grpc.insecure_channel(sys.argv[1], options=options) as channel:
    say = channel.unary_unary("/echo.v1.Echo/Say", **raw)
    repeat = channel.unary_stream("/echo.v1.Echo/Repeat", **raw)
    join = channel.stream_unary("/echo.v1.Echo/Join", **raw)
    chat = channel.stream_stream("/echo.v1.Echo/Chat", **raw)

    said, call = say.with_call(text("hello"), timeout=10, metadata=ANSWER)
    assert said == text("hello"), said
    assert ("x-seen-caller", "python") in call.initial_metadata(), call.initial_metadata()
    assert call.code() == grpc.StatusCode.OK

    repeated = list(repeat(text("again", 5), timeout=10, metadata=ANSWER))
    assert repeated == [text("again", n) for n in range(5)], repeated

    assert join(iter([text("a"), text("b"), text("c")]), timeout=10, metadata=ANSWER) == text("abc", 3)

    # Nothing is asked before the last answer is there.
    asked = queue.Queue()
    answers = chat(iter(asked.get, None), timeout=10, metadata=ANSWER)
    for n in range(20):
        asked.put(text(f"text {n}"))
        assert next(answers) == text(f"text {n}"), n
    asked.put(None)
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK

    # What the service says of a failure comes in its trailers.
    for call in (lambda m: say(text("fail"), timeout=10, metadata=m),
                 lambda m: list(repeat(text("x", 3), timeout=10, metadata=m + [("x-then", "fail")]))):
        try:
            call(ANSWER)
            assert False, "it should have failed"
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.ABORTED, error
            assert error.details() == "as told: 100 % ü", error.details()
            trailers = dict(error.trailing_metadata())
            assert trailers["x-detail"] == "kept" and trailers["x-detail-bin"] == b"\x00\x9f\x92\x96", trailers

    # What the mesh says comes as a code too, whichever kind of call it is.
    for want, code, details in [
        ("abort", "RESOURCE_EXHAUSTED", "fault filter abort"),
        ("nobody", "UNAVAILABLE", "no healthy upstream"),
        ("missing", "UNAVAILABLE", ""),
        ("nothing we know", "UNIMPLEMENTED", ""),
        ("timeout", "UNAVAILABLE", "upstream request timeout"),
    ]:
        metadata = [("x-want", want)]
        calls = [lambda: say(text("sleep"), timeout=10, metadata=metadata)]
        # A stream has its headers before the time is over.
        if want != "timeout":
            calls.append(lambda: list(chat(iter([text("sleep")]), timeout=10, metadata=metadata)))
        for call in calls:
            try:
                call()
                assert False, want
            except grpc.RpcError as error:
                assert error.code().name == code, (want, error)
                assert details in error.details(), (want, error)

    # A caller that gives up ends the call at the service.
    hanging = say.future(text("hang"), timeout=10, metadata=ANSWER)
    hanging.cancel()
    try:
        say(text("hang"), timeout=0.3, metadata=ANSWER)
        assert False, "it should have timed out"
    except grpc.RpcError as error:
        assert error.code().name in ("DEADLINE_EXCEEDED", "UNAVAILABLE"), error
print("all as asked")
"#;
