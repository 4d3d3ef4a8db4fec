//! One attempt of B's, and what is wrong with the answer. Not here: which attempts there are (`attempts`).

use crate::{
    canary::Canaries,
    client::{Client, Request, StoredResponse},
};
use serde::Serialize;
use serde_json::Value;

/// What B does.
pub struct Attempt {
    /// As the OpenAPI document names it; empty for what is no endpoint.
    pub endpoint: &'static str,
    /// In words.
    pub what: String,
    pub request: Request,
    pub expected: Expected,
    /// What B told the server before, and this request makes it read: names in it may be repeated.
    pub told_before: String,
}

/// What an answer must be, besides free of canaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A's object does not exist for B.
    NotFound,
    /// B is not the operator, and has no key but its own.
    Unauthorized,
    /// The request is refused, in whatever words.
    Refused,
    /// B is served from its own room.
    Served,
    /// Anything but a failure of the server.
    Anything,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    pub endpoint: String,
    pub what: String,
    /// 0 if there was no answer.
    pub status: u16,
    /// Where the canaries were planted that were in the answer.
    pub leaked: Vec<String>,
    /// What else is wrong.
    pub faults: Vec<String>,
}

/// Sends B's attempts and judges the answers.
pub struct Judge<'a> {
    pub client: &'a Client,
    pub canaries: &'a Canaries,
    /// B's own id, as its receipts say it.
    pub tenant: &'a str,
}

impl Attempt {
    pub fn new(endpoint: &'static str, what: impl Into<String>, request: Request, expected: Expected) -> Self {
        Self {
            endpoint,
            what: what.into(),
            request,
            expected,
            told_before: String::new(),
        }
    }
}

impl Expected {
    fn fault(self, status: u16) -> Option<String> {
        let wanted = match self {
            Self::NotFound if status != 404 => "404",
            Self::Unauthorized if status != 401 => "401",
            Self::Refused if !(400..500).contains(&status) => "a refusal (4xx)",
            Self::Served if !(200..300).contains(&status) => "an answer (2xx)",
            Self::Anything if status >= 500 => "no failure of the server",
            Self::NotFound | Self::Unauthorized | Self::Refused | Self::Served | Self::Anything => return None,
        };
        Some(format!("expected {wanted}, got {status}"))
    }
}

impl Outcome {
    pub fn is_well(&self) -> bool {
        self.leaked.is_empty() && self.faults.is_empty()
    }
}

impl Judge<'_> {
    pub async fn attempt(&self, attempt: Attempt) -> Outcome {
        match self.client.send(&attempt.request).await {
            Ok(reply) => self.judge(&attempt, &reply),
            Err(error) => Outcome {
                endpoint: attempt.endpoint.to_owned(),
                what: attempt.what,
                faults: vec![format!("no answer: {error:#}")],
                ..Outcome::default()
            },
        }
    }

    pub fn judge(&self, attempt: &Attempt, reply: &StoredResponse) -> Outcome {
        let sent = format!("{}\n{}", attempt.request.text(), attempt.told_before);
        let leaked = self.canaries.leaked(&reply.text(), &sent);
        let mut faults: Vec<String> = attempt.expected.fault(reply.status).into_iter().collect();
        faults.extend(self.strangers(reply));
        Outcome {
            endpoint: attempt.endpoint.to_owned(),
            what: attempt.what.clone(),
            status: reply.status,
            leaked: leaked.into_iter().map(str::to_owned).collect(),
            faults,
        }
    }

    /// A receipt that is for somebody else.
    fn strangers(&self, reply: &StoredResponse) -> Option<String> {
        let answers = std::iter::once(reply.json()).chain(reply.events());
        let mut receipts = answers.filter_map(|answer| {
            answer
                .pointer("/riad/receipt/tenant")
                .and_then(Value::as_str)
                .map(str::to_owned)
        });
        let stranger = receipts.find(|tenant| tenant != self.tenant)?;
        Some(format!("the receipt is for the tenant \"{stranger}\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judge(expected: Expected, path: &str, status: u16, body: &str) -> Outcome {
        let canaries = Canaries::new().unwrap();
        let client = Client::new("http://127.0.0.1:1", "k").unwrap();
        let judge = Judge {
            client: &client,
            canaries: &canaries,
            tenant: "b",
        };
        let fill = |text: &str| text.replace("SECRET", &canaries.text).replace("NAME", &canaries.alias);
        let attempt = Attempt::new("", "", Request::get(fill(path)), expected);
        let reply = StoredResponse {
            status,
            headers: String::new(),
            body: fill(body),
        };
        judge.judge(&attempt, &reply)
    }

    #[test]
    fn a_canary_in_an_answer_is_seen() {
        assert_eq!(judge(Expected::Served, "/", 200, "a SECRET").leaked, ["document text"]);
        assert_eq!(judge(Expected::NotFound, "/", 404, "no NAME").leaked, ["adapter alias"]);
        assert!(judge(Expected::NotFound, "/NAME", 404, "no NAME").is_well());
        let half = |text: &str| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}}]}));
        let canaries = Canaries::new().unwrap();
        let (begin, end) = canaries.text.split_at(9);
        let reply = StoredResponse {
            status: 200,
            headers: String::new(),
            body: half(begin) + &half(end),
        };
        assert!(!reply.body.contains(&canaries.text) && reply.text().contains(&canaries.text));
    }

    #[test]
    fn a_wrong_status_and_a_receipt_for_another_are_faults() {
        assert_eq!(
            judge(Expected::NotFound, "/", 403, "").faults,
            ["expected 404, got 403"]
        );
        assert_eq!(judge(Expected::Unauthorized, "/", 200, "").faults.len(), 1);
        assert_eq!(judge(Expected::Refused, "/", 500, "").faults.len(), 1);
        assert_eq!(judge(Expected::Anything, "/", 502, "").faults.len(), 1);
        assert!(judge(Expected::Anything, "/", 400, "").is_well());
        let receipt = |tenant: &str| json!({"riad": {"receipt": {"tenant": tenant}}}).to_string();
        assert!(judge(Expected::Served, "/", 200, &receipt("b")).is_well());
        assert_eq!(judge(Expected::Served, "/", 200, &receipt("a")).faults.len(), 1);
        let event = format!("data: {}\n\n", receipt("a"));
        assert_eq!(judge(Expected::Served, "/", 200, &event).faults.len(), 1);
    }
}
