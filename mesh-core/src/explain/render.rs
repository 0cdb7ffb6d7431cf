//! An explanation as a person reads it.

use std::fmt;

use super::{Action, Destination, Explanation, Inbound, Mismatch, Place, Retries};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print_request(f)?;
        self.print_host(f)?;
        self.print_routes(f)?;
        self.print_split(f)?;
        if let Some(destination) = &self.destination {
            print_destination(f, destination)?;
        }
        self.print_rest(f)?;
        for (index, said) in self.inbound.iter().enumerate() {
            print_inbound(f, if index == 0 { "inbound" } else { "" }, said)?;
        }
        writeln!(f, "=> {}", self.outcome())
    }
}

/// A line with a name in front of it.
fn line(f: &mut fmt::Formatter<'_>, name: &str, text: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{name:<11}{text}")
}

/// A text, and at some distance where it was said.
struct At<'a>(&'a str, &'a Place);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, place) = self;
        match place.to_string() {
            place if place.is_empty() => f.write_str(text),
            place => write!(f, "{text:<WIDTH$} {place}"),
        }
    }
}

/// How far to the right it stands where a thing was said.
const WIDTH: usize = 64;

impl Explanation {
    fn print_request(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = &self.request;
        let method = &request.method;
        line(f, "request", format_args!("{method} {}://{}{}", request.scheme, request.authority, request.path))?;
        if let Some(sent) = &request.path_as_sent {
            line(f, "", format_args!("sent as {sent}; brought into this form before rules see it"))?;
        }
        let listener = &self.listener;
        match (listener.gateways.as_slice(), listener.known) {
            ([], true) => line(f, "listener", format_args!("port {}", listener.port)),
            ([], false) => line(f, "listener", format_args!("port {}, which no service has", listener.port)),
            (gateways, _) => line(f, "listener", format_args!("port {} of {}", listener.port, gateways.join(", "))),
        }
    }

    fn print_host(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.vhost {
            Some(vhost) => line(
                f,
                "host",
                format_args!("{} -> {}   by the domain {}", self.request.authority, vhost.name, vhost.domain),
            ),
            None if self.malformed.is_some() => {
                line(f, "host", format_args!("{}, not looked up", self.request.authority))
            }
            None if self.action == Action::Passthrough => {
                line(f, "host", format_args!("{} is unknown; it may go where it says", self.request.authority))
            }
            None => line(f, "host", format_args!("{} is unknown", self.request.authority)),
        }?;
        self.hidden.as_ref().map_or(Ok(()), |why| line(f, "", why))
    }

    fn print_routes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut object = "";
        for tried in &self.tried {
            if tried.rule.object != object {
                object = &tried.rule.object;
                line(f, "rules", object)?;
            }
            let name = if tried.name.is_empty() { "(no name)" } else { &tried.name };
            let (sign, why) = match &tried.failed {
                Some(failed) => ("✗", failed.to_string()),
                None => ("✓", "takes the request".to_owned()),
            };
            line(f, "", At(&format!("{sign} #{} {name}   {why}", tried.index), &in_object(&tried.rule)))?;
        }
        match self.not_reached {
            0 => {}
            1 => line(f, "", "  1 more is not reached")?,
            more => line(f, "", format_args!("  {more} more are not reached"))?,
        }
        for left in &self.left_out {
            // It may be of another object: one that delegates to this, or all of whose blocks are left out.
            let place = if left.rule.object == object { in_object(&left.rule) } else { left.rule.clone() };
            line(f, "", At(&format!("- left out: {}", left.why), &place))?;
        }
        Ok(())
    }

    fn print_split(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(total) = self.split.last().map(|entry| entry.rolls.1).filter(|_| self.split.len() > 1) else {
            return Ok(());
        };
        line(f, "split", format_args!("roll {} of {total}", self.request.roll % total))?;
        for entry in &self.split {
            let arrow = if entry.drawn { "  <-" } else { "" };
            let name = match entry.subset.as_str() {
                "" => entry.host.clone(),
                subset => format!("{subset} of {}", entry.host),
            };
            let (from, to) = entry.rolls;
            line(f, "", format_args!("{:5.1} %  [{from}..{to})  {name}{arrow}", entry.share * 100.0))?;
        }
        Ok(())
    }

    fn print_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.carried {
            line(
                f,
                "protocol",
                "the port is one of TCP: requests are carried as they come, and no rule for HTTP acts",
            )?;
        }
        if let Some(retries) = &self.retries {
            line(f, "retries", retries)?;
        }
        if let Some(timeout) = &self.timeout {
            line(f, "timeout", format_args!("{timeout} for the whole exchange, from the end of the request"))?;
        }
        for mirror in &self.mirrors {
            let hit = match (mirror.exists, mirror.hit) {
                (false, _) => ", but does not exist: nothing is copied",
                (true, true) => ", this one too",
                (true, false) => ", not this one",
            };
            line(f, "mirror", format_args!("{} gets {} % of the requests{hit}", mirror.cluster, mirror.percent))?;
        }
        for fault in &self.faults {
            line(f, "fault", fault)?;
        }
        if !self.hashed_by.is_empty() {
            line(f, "hash", format_args!("of {}", self.hashed_by.join(", ")))?;
        }
        if !self.cors.is_empty() {
            line(f, "cors", self.cors.join(", "))?;
        }
        for (operations, whom) in [(&self.request_headers, "request"), (&self.response_headers, "answer")] {
            if !operations.is_empty() {
                line(f, "headers", format_args!("of the {whom}: {}", operations.join(", ")))?;
            }
        }
        if let Some(upstream) = &self.upstream
            && (upstream.authority != self.request.authority || upstream.path != self.request.path)
        {
            line(f, "rewritten", format_args!("{}{}", upstream.authority, upstream.path))?;
        }
        Ok(())
    }

    /// The last line: what happens.
    fn outcome(&self) -> String {
        let mut flags = if self.flags.is_empty() { String::new() } else { format!(" {}", self.flags) };
        if let Some(status) = self.grpc_status {
            flags.push_str(&format!(" with grpc-status {status}"));
        }
        match (self.action, self.status, &self.destination) {
            (Action::Redirect, Some(status), _) => {
                format!("answers {status}{flags} with location {}", self.location.as_deref().unwrap_or_default())
            }
            (Action::Direct, Some(status), _) => match &self.location {
                Some(location) => format!("answers {status}{flags} with location {location}"),
                None => format!("answers {status}{flags}"),
            },
            (Action::Passthrough, ..) => format!("would go to {} by its own name", self.request.authority),
            (Action::Route, Some(status), _) if self.aborted => {
                format!("answers {status}{flags}: a fault is injected into every request")
            }
            (Action::Route, Some(status), Some(destination)) => {
                format!("answers {status}{flags}: {}", destination.reason())
            }
            (Action::Route, None, Some(destination)) if destination.source.starts_with("original destination") => {
                let upstream = self.upstream.as_ref().map(|upstream| upstream.authority.as_str());
                format!("would go to {} by its own name", upstream.unwrap_or(&self.request.authority))
            }
            (Action::Route, None, Some(destination)) => format!("would send to {}", destination.choices()),
            (_, Some(status), _) if self.malformed.is_some() => {
                format!("answers {status}{flags}: {}", self.malformed.as_deref().unwrap_or_default())
            }
            (_, Some(status), _) if self.vhost.is_some() => format!("answers {status}{flags}: no route takes it"),
            (_, Some(status), _) => format!("answers {status}{flags}"),
            _ => "nothing".to_owned(),
        }
    }
}

fn print_destination(f: &mut fmt::Formatter<'_>, destination: &Destination) -> fmt::Result {
    if let Some(subset) = &destination.subset {
        let text = format!("{}  {{{}}}", subset.name, subset.labels);
        line(f, "subset", At(&text, &subset.place))?;
    }
    line(f, "cluster", &destination.cluster)?;
    if !destination.exists {
        return line(f, "", format_args!("does not exist: {}", destination.missing));
    }
    if destination.endpoints.is_empty() {
        line(f, "endpoints", format_args!("{}: none known", destination.source))?;
    } else {
        let usable = destination.endpoints.iter().filter(|endpoint| endpoint.unusable.is_empty()).count();
        let of = destination.endpoints.len();
        line(f, "endpoints", format_args!("{usable} of {of} usable ({})", destination.source))?;
    }
    for (index, policy) in destination.policy.iter().enumerate() {
        let text = format!("{}: {}", policy.name, policy.value);
        line(f, if index == 0 { "policy" } else { "" }, At(&text, &policy.place))?;
    }
    Ok(())
}

/// `reviews: PeerAuthentication default/strict STRICT · AuthorizationPolicy default/allow ALLOW (rule 0)`
fn print_inbound(f: &mut fmt::Formatter<'_>, name: &str, said: &Inbound) -> fmt::Result {
    let mut text = format!("{}: ", said.workload);
    if !said.mode.is_empty() {
        match said.mode_by.object.as_str() {
            "default" => text.push_str(&format!("{} by default · ", said.mode)),
            object => text.push_str(&format!("{object} {} · ", said.mode)),
        }
    }
    match said.rule {
        Some(rule) => text.push_str(&format!("{} {} (rule {rule})", said.policy.object, said.verdict)),
        None => text.push_str(&said.verdict),
    }
    line(f, name, At(&text, &in_object(&said.policy)))?;
    match (&said.principal, said.mode.is_empty()) {
        (Some(principal), _) => line(f, "", format_args!("  as {principal}"))?,
        (None, false) => line(f, "", "  as nobody: no mutual TLS is spoken")?,
        (None, true) => {}
    }
    if said.unknown.is_empty() {
        return Ok(());
    }
    line(
        f,
        "",
        format_args!("  its policies look at {}, too, which nobody knows in advance", said.unknown.join(" and ")),
    )
}

impl Destination {
    fn reason(&self) -> &'static str {
        if self.exists { "the destination has no endpoints" } else { "the destination does not exist" }
    }

    fn choices(&self) -> String {
        const SHOWN: usize = 4;
        let usable: Vec<_> = self.endpoints.iter().filter(|endpoint| endpoint.unusable.is_empty()).collect();
        if usable.is_empty() {
            return self.cluster.clone();
        }
        let names: Vec<_> = usable.iter().take(SHOWN).map(|endpoint| endpoint.address.as_str()).collect();
        let more = usable.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" or {more} more") } else { String::new() };
        format!("{}{more}", names.join(" or "))
    }
}

/// `header end-user = "ann", wanted exact "jason"`
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, wanted, found } = self;
        match found.as_str() {
            "missing" => write!(f, "{subject} is missing, wanted {wanted}"),
            found => write!(f, "{subject} = {found}, wanted {wanted}"),
        }
    }
}

/// A place in an object that was named before: file and line, else the field.
fn in_object(place: &Place) -> Place {
    Place { object: String::new(), ..place.clone() }
}

/// `VirtualService default/reviews mesh/reviews.yaml:12`; the field, where the line is not known.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.at.is_empty() { &self.field } else { &self.at };
        let said: Vec<_> =
            [&self.object, place].into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
        f.write_str(&said.join(" "))
    }
}

impl fmt::Display for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.attempts, self.on)?;
        match &self.timeline {
            Some(timeline) => write!(f, "; {timeline}"),
            None => Ok(()),
        }
    }
}
