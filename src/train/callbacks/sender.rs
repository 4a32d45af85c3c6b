//! Sends the messages of RemoteMonitor and `notify`.
//!
//! Training never waits for the network: a thread of its own sends one message after the
//! other, each with `TIMEOUT`; where more than `WAITING` are waiting, further ones are
//! dropped. When training is over, what is left gets `PATIENCE`. What fails is told once
//! an address, and changes nothing else.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// For one message, from the look-up of the name to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// For all that is left at the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Messages that may wait.
const WAITING: usize = 64;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A form of one field: its name, and its value as it is before it is encoded.
    Form(String, String),
    Json(String),
}

/// A text, in the form that chat programs take.
pub fn note(url: &str, message: &str) -> Result<Post, String> {
    Ok(Post {
        url: url.into(),
        headers: Vec::new(),
        body: Body::Json(serde_json::json!({ "text": message }).to_string()),
    })
}

/// Sends messages in the background.
#[derive(Debug)]
pub struct Sender {
    /// The queue of the thread that sends: none before the first message and after the end.
    queue: Option<SyncSender<(String, Post)>>,
    /// Address and reason of what failed; disconnected once all is sent.
    failed: Option<Receiver<(String, String)>>,
    /// Addresses of which that has been told.
    told: HashSet<String>,
    /// To be told.
    failures: Vec<String>,
}

impl Default for Sender {
    fn default() -> Sender {
        Sender::new()
    }
}

impl Sender {
    pub fn new() -> Sender {
        Sender {
            queue: None,
            failed: None,
            told: HashSet::new(),
            failures: Vec::new(),
        }
    }

    /// Returns at once. `root` is how failures speak of the address.
    pub fn send(&mut self, root: &str, post: Result<Post, String>) {
        let post = match post {
            Ok(post) => post,
            Err(reason) => return self.fail(root, &reason),
        };
        let queue = match &self.queue {
            Some(queue) => queue,
            None => {
                let (queue, posts) = sync_channel::<(String, Post)>(WAITING);
                let (failed, failures) = channel();
                let work = move || {
                    let agent = agent();
                    for (root, post) in posts {
                        if let Err(reason) = deliver(&agent, &post)
                            && failed.send((root, reason)).is_err()
                        {
                            return;
                        }
                    }
                };
                let thread = std::thread::Builder::new().name("nnc-remote".into());
                if let Err(e) = thread.spawn(work) {
                    return self.fail(root, &e.to_string());
                }
                self.failed = Some(failures);
                self.queue.insert(queue)
            }
        };
        if queue.try_send((root.into(), post)).is_err() {
            self.fail(root, "it is slower than training: updates were dropped");
        }
    }

    fn fail(&mut self, root: &str, reason: &str) {
        if self.told.insert(root.into()) {
            self.failures
                .push(format!("could not reach {root}: {reason}"));
        }
    }

    /// What is to be told since the last time.
    pub fn failures(&mut self) -> Vec<String> {
        let new: Vec<_> = self.failed.iter().flat_map(|f| f.try_iter()).collect();
        for (root, reason) in new {
            self.fail(&root, &reason);
        }
        std::mem::take(&mut self.failures)
    }

    /// Nothing more is sent: waits a little for what is on its way.
    pub fn finish(&mut self) {
        self.queue = None;
        let until = Instant::now() + PATIENCE;
        while let Some(failed) = &self.failed {
            match failed.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((root, reason)) => self.fail(&root, &reason),
                Err(RecvTimeoutError::Disconnected) => self.failed = None,
                Err(RecvTimeoutError::Timeout) => {
                    self.failed = None;
                    self.failures.push(format!(
                        "dropped updates that could not be sent within {} s",
                        PATIENCE.as_secs()
                    ));
                }
            }
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.finish();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .user_agent(concat!("nnc/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

fn deliver(agent: &ureq::Agent, post: &Post) -> Result<(), String> {
    let mut request = agent.post(&post.url);
    for (name, value) in &post.headers {
        request = request.header(name, value);
    }
    let typed = |h: &(String, String)| h.0.eq_ignore_ascii_case("content-type");
    let answer = match &post.body {
        Body::Form(field, value) => request.send_form([(field, value)]),
        Body::Json(text) => {
            if !post.headers.iter().any(typed) {
                request = request.header("content-type", "application/json");
            }
            request.send(text)
        }
    };
    answer.map(drop).map_err(|e| e.to_string())
}
