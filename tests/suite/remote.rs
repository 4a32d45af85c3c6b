//! RemoteMonitor and `notify`: what is sent is what Keras sends
//! (`tests/fixtures/remote_monitor.json`), and no server can hold a run up.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use nnc::train::callbacks::Logs;
use nnc::train::callbacks::remote_monitor::{RemoteMonitor, post};
use nnc::train::callbacks::sender::{Sender, note};
use serde_json::{Value, json};

use crate::callbacks::{checked, number};
use crate::cli::{err, find, out};
use crate::runs::place;

/// A request as a server sees it.
pub(crate) struct Request {
    pub line: String,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// Reads one request; none where the other side closes first.
pub(crate) fn request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line: line.trim_end().to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// A server on a port of its own: its root, and what it is asked. `answer` is written back.
fn serve(answer: &'static str) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if let Some(request) = request(&stream) {
                let sent = stream.write_all(answer.as_bytes());
                if sent.is_err() || asked.send(request).is_err() {
                    return;
                }
            }
        }
    });
    (root, requests)
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BROKEN: &str =
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[test]
fn what_is_sent_is_what_keras_sends() {
    let (root, requests) = serve(FINE);
    let text = include_str!("../fixtures/remote_monitor.json");
    let all: Value = serde_json::from_str(text).unwrap();
    let mut sender = Sender::new();
    for case in all["cases"].as_array().unwrap() {
        let args = case["args"].as_object().unwrap().iter();
        let mut written = vec![format!("root = \"{root}\"")];
        written.extend(args.map(|(name, value)| match value {
            Value::Object(headers) => {
                let lines = headers.iter();
                let lines = lines.map(|(k, v)| json!(format!("{k}: {}", v.as_str().unwrap())));
                format!("headers = {}", Value::Array(lines.collect()))
            }
            other => format!("{name} = {other}"),
        }));
        let train = checked(&format!("RemoteMonitor({})", written.join(", "))).train;
        let callbacks = train.unwrap().callbacks;
        let set: &RemoteMonitor = callbacks[0].settings().unwrap();
        let mut logs = Logs::default();
        for (name, value) in case["logs"].as_object().unwrap() {
            logs.set(name, number(value));
        }
        let made = post(set, case["epoch"].as_u64().unwrap() as usize, &logs);
        let posts = case["posts"].as_array().unwrap();
        assert_eq!(made.is_ok(), posts.len() == 1, "{case}");
        if let Some(expected) = posts.first() {
            sender.send(&root, made);
            let seen = requests.recv().unwrap();
            let path = expected["path"].as_str().unwrap();
            assert_eq!(seen.line, format!("POST {path} HTTP/1.1"));
            assert_eq!(seen.body, expected["body"], "{case}");
            for (name, value) in expected["headers"].as_object().unwrap() {
                assert_eq!(seen.headers.get(name).unwrap(), value, "{case}");
            }
        }
    }
    sender.finish();
    assert_eq!(sender.failures(), [""; 0]);
}

fn told(lines: &str) -> String {
    let place = place(lines);
    let output = place.nnc("run toy.nn --out w");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(place.path().join("w/weights.safetensors").exists());
    err(&output) + &out(&output)
}

fn monitor(root: &str) -> String {
    format!("  epochs 3\n  callbacks {{ RemoteMonitor(root = \"{root}\") }}\n")
}

#[test]
fn a_run_sends_its_epochs_and_its_notes() {
    let (root, requests) = serve(FINE);
    let lines = format!(
        "  epochs 3\n  callbacks {{\n    RemoteMonitor(root = \"{root}\", send_as_json = true)\n    \
         when epoch == 2 do notify(\"{root}/hook\", \"epoch {{epoch}}: {{loss:.4f}}\")\n  }}\n"
    );
    let place = place(&lines);
    let events = place.events("run toy.nn --json --out w");
    let seen: Vec<Request> = requests.try_iter().collect();
    let lines: Vec<&str> = seen.iter().map(|r| r.line.as_str()).collect();
    let epoch = "POST /publish/epoch/end/ HTTP/1.1";
    assert_eq!(lines, [epoch, epoch, "POST /hook HTTP/1.1", epoch]);
    let last: Value = serde_json::from_str(&seen[3].body).unwrap();
    let expected = events.iter().rfind(|e| e["event"] == "epoch").unwrap();
    assert_eq!(last["epoch"], 2);
    for name in ["loss", "accuracy", "val_loss", "val_accuracy"] {
        assert_eq!(last[name], expected[name]);
    }
    let second = events
        .iter()
        .filter(|e| e["event"] == "epoch")
        .nth(1)
        .unwrap();
    let text = format!("epoch 2: {:.4}", second["loss"].as_f64().unwrap());
    assert_eq!(seen[2].body, json!({ "text": text }).to_string());
    assert_eq!(find(&events, "saved")["stopped"], Value::Null);
}

#[test]
fn a_server_that_is_not_there_or_broken_is_told_of_once() {
    // a port that was free a moment ago
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let text = told(&monitor(&root));
    let failed = format!("RemoteMonitor: could not reach {root}");
    assert_eq!(text.matches(&failed).count(), 1, "{text}");
    let (root, requests) = serve(BROKEN);
    let text = told(&monitor(&root));
    let failed = format!("RemoteMonitor: could not reach {root}: http status: 500");
    assert_eq!(text.matches(&failed).count(), 1, "{text}");
    assert_eq!(requests.try_iter().count(), 3);
}

#[test]
fn a_server_that_says_nothing_holds_nothing_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    // it accepts (the system does), and never answers
    let text = told(&monitor(&root));
    assert!(text.contains("dropped updates"), "{text}");
    assert!(text.contains("epoch 3/3"), "{text}");
    drop(listener);
}

#[test]
fn more_than_can_wait_is_left_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let mut sender = Sender::new();
    for _ in 0..100 {
        sender.send(&root, note(&root, "x"));
    }
    let told = sender.failures();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("slower than training"), "{told:?}");
}

/// The search for the operation that made a NaN repeats the run: nothing is sent again.
#[test]
fn a_repetition_sends_nothing() {
    let (root, requests) = serve(FINE);
    let lines =
        format!("  epochs 3\n  callbacks {{ when step == 1 do notify(\"{root}\", \"x\") }}\n");
    let place = place(&lines);
    let output = place.nnc("run toy.nn --out v --set rate=1e38 --set width=64");
    assert_eq!(output.status.code(), Some(3), "{}", out(&output));
    assert_eq!(requests.iter().take(1).count(), 1);
    assert_eq!(requests.try_iter().count(), 0);
}
