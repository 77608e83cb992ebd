//! The Hugging Face Hub: files under `<endpoint>/<owner>/<name>/resolve/<revision>/`, lists from its API.

use object_store::ClientOptions;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;

const ENDPOINT: &str = "https://huggingface.co";

/// A repository of the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hub {
    endpoint: String,
    repository: String,
    revision: String,
    /// Folder in the repository.
    pub(super) prefix: String,
    token: Option<String>,
}

/// A line of the API's list.
#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
}

impl Hub {
    /// Reads `owner/name[@revision][/prefix]`.
    pub(super) fn parse(text: &str, endpoint: Option<&str>, token: Option<&str>) -> Option<Hub> {
        let mut parts = text.splitn(3, '/').filter(|p| !p.is_empty());
        let (owner, name, prefix) = (parts.next()?, parts.next()?, parts.next().unwrap_or(""));
        let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
        Some(Hub {
            endpoint: endpoint
                .filter(|e| !e.is_empty())
                .unwrap_or(ENDPOINT)
                .trim_end_matches('/')
                .to_string(),
            repository: format!("{owner}/{name}"),
            revision: revision.to_string(),
            prefix: prefix.trim_matches('/').to_string(),
            token: token.filter(|t| !t.is_empty()).map(str::to_string),
        })
    }

    /// Where its files are.
    pub(super) fn files_url(&self) -> String {
        format!("{}/{}/resolve/{}", self.endpoint, self.repository, self.revision)
    }

    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| "HF_TOKEN is no token")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    /// How to ask for them.
    pub(super) fn client_options(&self) -> Result<ClientOptions, String> {
        Ok(ClientOptions::new()
            .with_allow_http(true)
            .with_default_headers(self.headers()?))
    }

    /// Files below a folder with their sizes; a folder that is not there has none.
    pub(super) async fn list(&self, below: &str) -> Result<Vec<(String, u64)>, String> {
        let text = |e: reqwest::Error| e.to_string();
        let client = reqwest::Client::builder()
            .default_headers(self.headers()?)
            .build()
            .map_err(text)?;
        let folder = [self.prefix.as_str(), below.trim_matches('/')];
        let folder: Vec<&str> = folder.into_iter().filter(|p| !p.is_empty()).collect();
        let (endpoint, repository, revision) = (&self.endpoint, &self.repository, &self.revision);
        let base = format!(
            "{endpoint}/api/models/{repository}/tree/{revision}/{}",
            folder.join("/")
        );
        let mut next = Some(format!("{}?recursive=true", base.trim_end_matches('/')));
        let mut all = Vec::new();
        while let Some(url) = next {
            let answer = client.get(&url).send().await.map_err(text)?;
            if answer.status() == reqwest::StatusCode::NOT_FOUND {
                break;
            }
            let answer = answer.error_for_status().map_err(text)?;
            // Long lists come in pages: `Link: <url>; rel="next"`.
            let link = answer
                .headers()
                .get("link")
                .and_then(|l| l.to_str().ok())
                .unwrap_or_default();
            let page = link.split(',').find(|l| l.contains("rel=\"next\""));
            next = page.and_then(|l| Some(l.split_once('<')?.1.split_once('>')?.0.to_string()));
            let listed: Vec<Listed> = answer.json().await.map_err(text)?;
            let files = listed.into_iter().filter(|l| l.kind == "file");
            all.extend(files.map(|l| (l.path, l.size)));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_revision_and_folder() {
        let hub = Hub::parse("org/cache@v2/below/here", None, None).unwrap();
        assert_eq!(hub.files_url(), "https://huggingface.co/org/cache/resolve/v2");
        assert_eq!(hub.prefix, "below/here");
        assert_eq!(
            Hub::parse("org/cache", Some("http://h/"), None).unwrap().files_url(),
            "http://h/org/cache/resolve/main"
        );
        assert_eq!(Hub::parse("org", None, None), None);
    }
}
