//! The URL of an endpoint as an operator gives it. What is known only when it is shown stands in it by name, in either of
//! Keystone's spellings, `$(project_id)s` or `%(project_id)s`; `%%` is a percent sign.

use std::mem;

use super::catalog::Bearer;

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
enum Known {
    Project,
    User,
    /// Where clients reach this cloud.
    PublicEndpoint,
}

impl Known {
    fn by_name(name: &str) -> Option<Self> {
        match name {
            "project_id" | "tenant_id" => Some(Self::Project),
            "user_id" => Some(Self::User),
            "public_endpoint" => Some(Self::PublicEndpoint),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Known(Known),
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct UrlTemplate(Vec<Part>);

impl UrlTemplate {
    /// `None` for a URL in which a name is not known, or not written as names are.
    pub fn parse(url: &str) -> Option<Self> {
        let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), url);
        while let Some(at) = rest.find(['$', '%']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = from.strip_prefix("%%") {
                text.push('%');
                rest = after;
            } else if from.starts_with('$') && !from.starts_with("$(") {
                text.push('$');
                rest = &from[1..];
            } else {
                let (name, after) = from[1..].strip_prefix('(')?.split_once(")s")?;
                parts.extend([Part::Text(mem::take(&mut text)), Part::Known(Known::by_name(name)?)]);
                rest = after;
            }
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        Some(Self(parts))
    }

    /// A URL that is shown as it is.
    pub fn literal(url: &str) -> Self {
        Self(vec![Part::Text(url.to_owned())])
    }

    /// The URL for somebody; `None` when it needs a project and there is none.
    pub fn filled_in(&self, public_endpoint: &str, bearer: Bearer<'_>) -> Option<String> {
        let mut url = String::with_capacity(public_endpoint.len() + 64);
        for part in &self.0 {
            url.push_str(match part {
                Part::Text(text) => text,
                Part::Known(Known::Project) => bearer.project_id?,
                Part::Known(Known::User) => bearer.user_id,
                Part::Known(Known::PublicEndpoint) => public_endpoint,
            });
        }
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Bearer;
    use super::UrlTemplate;

    #[test]
    fn urls_are_filled_in_or_left_out() {
        let filled = |template: &str, project_id: Option<&str>| {
            let template = UrlTemplate::parse(template).expect(template);
            template.filled_in("http://cloud:1", Bearer { user_id: "u", project_id })
        };
        let volume = filled("$(public_endpoint)s/volume/v3/%(tenant_id)s", Some("p"));
        assert_eq!(volume.as_deref(), Some("http://cloud:1/volume/v3/p"));
        assert_eq!(filled("http://x/$(project_id)s", None), None);
        assert_eq!(filled("http://x/v2.1/100%%", None).as_deref(), Some("http://x/v2.1/100%"));
        assert_eq!(filled("http://x/%(user_id)s", None).as_deref(), Some("http://x/u"));
        assert_eq!(filled("http://x/$5/$(user_id)s/", None).as_deref(), Some("http://x/$5/u/"));
        assert_eq!(filled("http://x/%%(user_id)s", None).as_deref(), Some("http://x/%(user_id)s"));
        assert_eq!(filled("http://x", None).as_deref(), Some("http://x"));
    }
}
