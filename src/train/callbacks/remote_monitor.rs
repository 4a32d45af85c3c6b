//! RemoteMonitor, as Keras': the logs of each epoch are sent to a server.

use std::path::Path;

use super::sender::{Body, Post};
use super::{Callback, CallbackContext, Declared, Logs, RunContext};
use crate::spec::call::{Arguments, Signature};
use crate::spec::callbacks::CallbackSettings;
use crate::spec::pattern::repr;
use crate::train::{RunError, Session};

pub(super) const NAME: &str = "RemoteMonitor";

const HEADERS: &str = "`headers` must be a list of strings `\"Name: value\"`";

#[derive(Clone, Debug, PartialEq)]
pub struct RemoteMonitor {
    /// `http://localhost:9000`
    root: String,
    /// Put behind it as it is.
    path: String,
    /// The field of the form that holds the logs; not used where they are sent as JSON.
    field: String,
    headers: Vec<(String, String)>,
    send_as_json: bool,
}

impl CallbackSettings for RemoteMonitor {}

impl Declared for RemoteMonitor {
    const SIGNATURE: Signature =
        Signature::new(NAME, &["root", "path", "field", "headers", "send_as_json"]);

    fn read(args: &mut dyn Arguments) -> Option<RemoteMonitor> {
        Some(RemoteMonitor {
            root: args.url("root", "http://localhost:9000")?,
            path: args.text("path", "/publish/epoch/end/")?,
            field: args.text("field", "data")?,
            headers: args
                .texts("headers", HEADERS, |text| header(text).is_some())?
                .iter()
                .filter_map(|text| header(text))
                .collect(),
            send_as_json: args.flag("send_as_json", false)?,
        })
    }

    fn start(&self, _: &Session, _: &Path) -> Result<Box<dyn Callback>, RunError> {
        Ok(Box::new(self.clone()))
    }
}

/// `Name: value`
fn header(text: &str) -> Option<(String, String)> {
    let mark = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let (name, value) = text.split_once(':')?;
    let plain = value.bytes().all(|b| (b' '..0x7f).contains(&b));
    let token = !name.is_empty() && name.chars().all(mark);
    (token && plain).then(|| (name.into(), value.trim().into()))
}

impl Callback for RemoteMonitor {
    fn on_epoch_end(
        &mut self,
        logs: &mut Logs,
        cx: &mut CallbackContext,
        run: &mut RunContext,
    ) -> Result<(), RunError> {
        if let Some(sender) = &mut run.sender {
            sender.send(&self.root, post(self, cx.epoch, logs));
        }
        Ok(())
    }
}

/// An epoch's logs, as Keras sends them; the error says what cannot be sent. `epoch` counts
/// from 0.
pub fn post(set: &RemoteMonitor, epoch: usize, logs: &Logs) -> Result<Post, String> {
    let mut text = format!("{{\"epoch\": {epoch}");
    for (name, value) in logs.all() {
        let number = match value {
            x if x.is_finite() => repr(x),
            x if set.send_as_json => {
                return Err(format!("{name} is {x}, which JSON cannot represent"));
            }
            x if x.is_nan() => "NaN".into(),
            x if x > 0.0 => "Infinity".into(),
            _ => "-Infinity".into(),
        };
        text += &format!(", {}: {number}", serde_json::Value::from(name));
    }
    text += "}";
    Ok(Post {
        url: format!("{}{}", set.root, set.path),
        headers: set.headers.clone(),
        body: match set.send_as_json {
            true => Body::Json(text),
            false => Body::Form(set.field.clone(), text),
        },
    })
}
