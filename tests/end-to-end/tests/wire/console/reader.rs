//! Somebody with a session of the console, as a browser without scripts.

use futures::StreamExt;
use reqwest::{Method, RequestBuilder, StatusCode, header, redirect::Policy};
use riad_end_to_end::TestHost;
use serde_json::Value;

/// Pages of a tenant that need no name.
pub const TENANT_PAGES: [&str; 10] = [
    "/console/playground",
    "/console/documents",
    "/console/documents/search?q=lamp",
    "/console/plugins",
    "/console/plugins/settings",
    "/console/plugins/logs",
    "/console/adapters",
    "/console/usage",
    "/console/keys",
    "/console/receipts",
];
pub const OPERATOR_PAGES: [&str; 10] = [
    "/console/overview",
    "/console/overview/stream",
    "/console/tenants",
    "/console/fairness",
    "/console/engine",
    "/console/rooms",
    "/console/ledger",
    "/console/plans",
    "/console/audit",
    "/console/scale",
];

pub struct Reader {
    http: reqwest::Client,
    url: String,
    /// Name and value.
    pub cookie: String,
    /// Of the page that was read last.
    pub token: String,
}

pub struct Page {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub html: String,
}

impl Reader {
    pub fn stranger(host: &TestHost) -> Self {
        Self {
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .build()
                .unwrap(),
            url: host.url(),
            cookie: String::new(),
            token: String::new(),
        }
    }

    pub async fn sign_in(host: &TestHost, key: &str) -> Self {
        let mut reader = Self::stranger(host);
        let page = reader.try_key(key).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.html);
        reader.cookie = page.cookie();
        let home = reader.get("/console").await;
        assert_eq!(home.status, StatusCode::SEE_OTHER, "{}", home.html);
        let home = reader.get(home.location()).await;
        assert_eq!(home.status, StatusCode::OK, "{}", home.html);
        reader
    }

    pub async fn try_key(&self, key: &str) -> Page {
        let request = self.http.post(format!("{}/console/sign-in", self.url));
        Page::read(with_form(request, &[("key", key)])).await
    }

    /// With the session's cookie, and whatever else is added.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match self.cookie.as_str() {
            "" => request,
            cookie => request.header(header::COOKIE, cookie),
        }
    }

    pub async fn get(&mut self, path: &str) -> Page {
        let page = Page::read(self.request(Method::GET, path)).await;
        if let Some(token) = page.between("name=\"csrf\" value=\"", "\"").first() {
            self.token = (*token).to_owned();
        }
        page
    }

    /// The data of a stream's first event, whose reader then goes.
    pub async fn first_event(&self, path: &str) -> String {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut stream = response.bytes_stream();
        let mut text = String::new();
        while !text.contains("\n\n") {
            text += std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap();
        }
        let event = text.split("\n\n").next().unwrap();
        let data = event.lines().find_map(|line| line.strip_prefix("data: "));
        data.unwrap_or_else(|| panic!("no data: {event}")).to_owned()
    }

    /// A form of the page that was read last.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_with(path, &self.token, fields).await
    }

    pub async fn post_with(&self, path: &str, token: &str, fields: &[(&str, &str)]) -> Page {
        let fields = [&[("csrf", token)], fields].concat();
        Page::read(with_form(self.request(Method::POST, path), &fields)).await
    }

    /// What a script sends.
    pub async fn send(&self, method: Method, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Page {
        let request = self.request(method, path);
        Page::read(
            request
                .header("x-csrf-token", &self.token)
                .header(header::CONTENT_TYPE, content_type)
                .body(body),
        )
        .await
    }
}

/// Fields as a browser sends them.
pub fn with_form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let fields = serde_urlencoded::to_string(fields).unwrap();
    request
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(fields)
}

impl Page {
    pub async fn read(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            html: response.text().await.unwrap(),
        }
    }

    pub fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{}", self.html);
        self
    }

    /// The page that follows on a form that was taken.
    pub fn taken(self) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.html);
        self.location().to_owned()
    }

    pub fn refused(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.html);
        self
    }

    pub fn location(&self) -> &str {
        self.headers[header::LOCATION].to_str().unwrap()
    }

    /// Name and value of the cookie that it sets.
    pub fn cookie(&self) -> String {
        let set = self.headers[header::SET_COOKIE].to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    pub fn is_sign_in(&self) -> bool {
        self.status == StatusCode::SEE_OTHER && self.location() == "/console/sign-in"
    }

    /// The data of a stream's events of this name.
    pub fn events(&self, name: &str) -> Vec<Value> {
        let events = self.between(&format!("event: {name}\ndata: "), "\n").into_iter();
        events.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    /// Every text that stands between these two.
    pub fn between<'a>(&'a self, begin: &str, end: &str) -> Vec<&'a str> {
        let rests = self.html.split(begin).skip(1);
        rests.filter_map(|rest| rest.split(end).next()).collect()
    }

    /// A key that the page shows, once.
    pub fn new_key(&self) -> String {
        let shown = self.between("data-copy", "</");
        let key = shown.iter().find_map(|text| text.split_once('>'));
        key.unwrap_or_else(|| panic!("no new key: {}", self.html)).1.to_owned()
    }
}
