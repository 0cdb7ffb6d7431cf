//! The page in a real browser, which clicks and types; passed over where there is none.

use super::chromium::{Browser, DARK, DARK_PHONE, PHONE, View, WIDE};
use super::*;

/// Within so long an ejection is on the page.
const SOON: Duration = Duration::from_secs(2);
/// Within so long everything else is, however busy the machine.
const PATIENTLY: Duration = Duration::from_secs(20);

impl World {
    fn url(&self) -> String {
        format!("http://{}/mesh/", self.mesh.admin_address().unwrap())
    }

    /// A browser that has the page open.
    async fn seen(&self, view: View) -> Option<Browser> {
        let mut browser = Browser::start().await?;
        browser.open(&self.url(), view).await;
        Some(browser)
    }
}

/// What cannot be read of a page: text that is small, and text whose colour is close to what is behind it.
const ILLEGIBLE: &str = "(() => {
  const parsed = (color) => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return { rgb: [r, g, b], a }; };
  const light = ({ rgb }) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = parsed(getComputedStyle(at).backgroundColor);
      if (found.a === 1) return found;
      if (found.a > 0) throw new Error('a background that lets through');
    }
    return parsed('rgb(255, 255, 255)');
  };
  const bad = [];
  let seen = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest('script, title, option')) continue;
    seen += 1;
    const style = getComputedStyle(element);
    const [a, b] = [light(parsed(style.color)), light(behind(element))].sort((a, b) => b - a);
    const contrast = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    if (contrast < 4.5 || size < 12) bad.push([texts.currentNode.data, contrast, size, style.color]);
  }
  if (seen < 50) bad.push('only ' + seen + ' texts are seen');
  return bad;
})()";

#[tokio::test]
async fn what_the_policy_forbids_does_not_run_and_is_complained_of() {
    let world = World::plain().await;
    let Some(mut browser) = world.seen(WIDE).await else { return };
    browser.assert_content().await;
    let inject = "(() => { const made = document.createElement('script'); made.textContent = 'window.hasRun = true'; \
                  document.body.append(made); return window.hasRun === true; })()";
    assert_eq!(browser.eval(inject).await, false);
    let complained = async {
        while !browser.complaints().await.iter().any(|said| said.contains("Content Security Policy")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), complained).await.expect("the browser says nothing of it");
}

#[tokio::test]
async fn the_page_is_legible_wide_and_on_a_phone_by_day_and_by_night() {
    let world = World::plain().await;
    let Some(mut browser) = world.seen(WIDE).await else { return };
    for _ in 0..40 {
        assert_eq!(world.call("v1").await, 200);
    }
    for (name, view) in [("wide", WIDE), ("dark", DARK), ("phone", PHONE), ("phone-dark", DARK_PHONE)] {
        browser.open(&world.url(), view).await;
        // A message and a row of the tap are to be legible as well.
        browser.click("#listen").await;
        browser.until("document.getElementById('heard').textContent.startsWith('listening')", PATIENTLY).await;
        world.call("v2").await;
        browser.until("document.querySelectorAll('#requests tr').length === 1", PATIENTLY).await;
        assert_eq!(browser.eval("innerWidth").await, view.width, "{name}");
        let ground = browser.eval("getComputedStyle(document.body).backgroundColor").await;
        assert_eq!(ground == "rgb(255, 255, 255)", view.scheme == "light", "{name}: {ground}");
        let beyond = browser.eval("document.documentElement.scrollWidth - innerWidth").await;
        assert!(beyond.as_i64().unwrap() <= 0, "{name} scrolls sideways by {beyond} px");
        assert_eq!(browser.eval(ILLEGIBLE).await, serde_json::json!([]), "{name}");
        browser.picture(&format!("admin-{name}.png")).await;
    }
    browser.assert_content().await;
}

#[tokio::test]
async fn the_keyboard_alone_gets_a_request_explained() {
    let world = World::plain().await;
    let Some(mut browser) = world.seen(WIDE).await else { return };
    let mut reached = Vec::new();
    while browser.eval("document.activeElement.name").await != "url" {
        browser.press("Tab").await;
        let outline = "(() => { const style = getComputedStyle(document.activeElement); \
             return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2; })()";
        let at = browser.eval("document.activeElement.outerHTML.slice(0, 80)").await;
        assert_eq!(browser.eval(outline).await, true, "the focus is not seen at {at}");
        reached.push(at);
        assert!(reached.len() < 40, "the keyboard does not get there: {reached:#?}");
    }
    assert!(reached[0].as_str().unwrap().contains("class=\"skip\""), "{}", reached[0]);
    browser.insert("http://reviews:9080/1").await;
    browser.press("Tab").await;
    browser.insert("version: v2").await;
    browser.press("Enter").await;
    let answer = "document.getElementById('answer').textContent";
    browser.until(&format!("{answer}.includes('=> ')"), PATIENTLY).await;
    let said = browser.eval(answer).await;
    let said = said.as_str().unwrap();
    assert!(said.contains("VirtualService shop/reviews") && said.contains("#0 broken   takes the request"), "{said}");
    browser.assert_content().await;
}

#[tokio::test]
async fn a_request_is_shown_as_it_ends_and_leads_to_its_explanation() {
    let world = World::plain().await;
    let Some(mut browser) = world.seen(PHONE).await else { return };
    browser.click("#listen").await;
    browser.until("document.getElementById('heard').textContent.startsWith('listening')", PATIENTLY).await;
    assert_eq!(world.call("v1").await, 200);
    browser.until("document.querySelectorAll('#requests tr').length === 1", PATIENTLY).await;
    let row = browser.eval("document.querySelector('#requests tr').innerText").await;
    let row = row.as_str().unwrap();
    for told in ["GET reviews:9080/1", "200", &world.good.to_string()] {
        assert!(row.contains(told), "{told} is missing: {row}");
    }
    assert!(!row.contains("hush"), "{row}");
    browser.click("#requests a").await;
    let answer = "document.getElementById('answer').textContent";
    browser.until(&format!("{answer}.includes('#1 usual   takes the request')"), PATIENTLY).await;
    browser.picture("admin-phone-tap.png").await;
    // The link is one, too, for who opens it elsewhere.
    let link = browser.eval("document.querySelector('#requests a').getAttribute('href')").await;
    assert_eq!(world.json(link.as_str().unwrap()).await["request"]["path"], "/1");
    browser.assert_content().await;
}

/// Whether the page says of an address that it is ejected.
fn says_ejected(address: SocketAddr) -> String {
    format!(
        "[...document.querySelectorAll('#endpoints tbody tr')].some((row) => \
         row.innerText.includes('{address}') && row.innerText.includes('ejected'))"
    )
}

#[tokio::test]
async fn an_ejection_is_shown_within_2_s_and_disturbs_nobody() {
    let world = World::plain().await;
    let Some(mut browser) = world.seen(PHONE).await else { return };
    // What would be lost if the page were loaded anew or its parts replaced.
    browser.eval("void (window.isTheSame = true)").await;
    browser.click("[name=h]").await;
    browser.insert("end-user: ja").await;
    browser.eval("void (window.row = document.querySelector('#endpoints tbody tr'))").await;
    browser.eval("scrollTo(0, 200)").await;
    assert_eq!(browser.eval(&says_ejected(world.bad)).await, false);
    assert_eq!(world.call("v2").await, 503);
    browser.until(&says_ejected(world.bad), SOON).await;
    let seconds = "Number(document.querySelector('#endpoints').innerText.match(/(\\d+) s more/)[1])";
    let left = browser.eval(seconds).await.as_f64().unwrap();
    assert!((25.0..=30.0).contains(&left), "{left}");
    browser.until(&format!("{seconds} < {left}"), PATIENTLY).await;
    browser.until("document.getElementById('graph').innerText.includes('1 of 1 ejected')", PATIENTLY).await;
    let kept = "[isTheSame, row.isConnected, document.activeElement.name, document.activeElement.value, scrollY]";
    assert_eq!(browser.eval(kept).await, serde_json::json!([true, true, "h", "end-user: ja", 200]));
    browser.assert_content().await;
}

#[tokio::test]
async fn a_paused_page_stays_as_it_is_until_it_is_wanted_again() {
    let world = World::plain().await;
    let Some(mut browser) = world.seen(WIDE).await else { return };
    browser.click("#pause").await;
    browser.until("document.getElementById('pause').textContent === 'Resume'", PATIENTLY).await;
    assert_eq!(world.call("v2").await, 503);
    tokio::time::sleep(SOON).await;
    assert_eq!(browser.eval(&says_ejected(world.bad)).await, false);
    browser.click("#pause").await;
    browser.until(&says_ejected(world.bad), PATIENTLY).await;
    browser.assert_content().await;
}

#[tokio::test]
async fn a_process_that_has_gone_is_said_to_have() {
    let world = World::plain().await;
    let Some(mut browser) = world.seen(WIDE).await else { return };
    assert_eq!(browser.eval("document.getElementById('gone').hidden").await, true);
    drop(world);
    let says =
        "document.getElementById('gone').checkVisibility() && document.body.innerText.includes('has not answered')";
    browser.until(says, Duration::from_secs(5)).await;
    browser.picture("admin-gone.png").await;
}

/// `ratings` is called by TLS, everything of the world in plaintext.
const RATINGS: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ratings, namespace: shop}
spec:
  hosts: [ratings.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9081, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ratings, namespace: shop}
spec:
  host: ratings.shop.svc.cluster.local
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
";

#[tokio::test]
async fn a_lock_is_open_where_a_call_is_plaintext_and_nowhere_else() {
    let (material, _) = secrets::material();
    let identity = mesh_tower::identity::MemoryIdentity::new(material);
    let world =
        World::start(|builder| builder.config_yaml("ratings.yaml", RATINGS).identity(identity).admin("127.0.0.1:0"))
            .await;
    let Some(mut browser) = world.seen(WIDE).await else { return };
    for (service, is_open) in [("reviews.shop", true), ("ratings.shop", false)] {
        for within in ["#graph li", "#endpoints tbody tr"] {
            let rows = format!(
                "[...document.querySelectorAll('{within}')].filter((row) => row.innerText.includes('{service}'))"
            );
            let all = browser.eval(&format!("{rows}.length")).await;
            assert!(all.as_u64().unwrap() > 0, "{service} is missing within {within}");
            let open = format!("{rows}.filter((row) => row.querySelector('svg.open')?.checkVisibility()).length");
            assert_eq!(browser.eval(&open).await, if is_open { all } else { 0.into() }, "{service} within {within}");
        }
    }
    browser.picture("admin-locks.png").await;
    browser.assert_content().await;
}

#[tokio::test]
async fn what_stands_at_an_edge_is_chosen_and_stays_in_the_address() {
    let world = World::plain().await;
    let Some(mut browser) = world.seen(WIDE).await else { return };
    assert_eq!((world.call("v1").await, world.call("v2").await), (200, 503));
    let label = |subset: &str| {
        format!(
            "[...document.querySelectorAll('.called li')].find((row) => row.innerText.includes('{subset}'))             .querySelector('.label').innerText"
        )
    };
    browser.until(&format!("{}.endsWith('rps')", label("v2")), PATIENTLY).await;
    for (chosen, good, bad) in [("errors", "0 % err", "100 % err"), ("share", "50.0 %", "50.0 %")] {
        browser.click(&format!("[data-switch][href$='label={chosen}']")).await;
        let both = format!("{} === '{good}' && {} === '{bad}'", label("v1"), label("v2"));
        browser.until(&both, PATIENTLY).await;
        let current =
            browser.eval("document.querySelector('[href$=\"' + location.search + '\"][aria-current]') !== null").await;
        assert_eq!(current, true, "{chosen} is not marked as chosen");
    }
    // An edge with errors is red.
    let red = "getComputedStyle(document.querySelector('.edge.failing')).stroke === \
               getComputedStyle(document.querySelector('.bad')).color";
    assert_eq!(browser.eval(red).await, true);
    browser.click("[data-switch][href*='window=15m']").await;
    browser.until("location.search === '?window=15m&label=share'", PATIENTLY).await;
    let url = browser.eval("location.href").await.as_str().unwrap().to_owned();
    browser.open(&url, WIDE).await;
    assert_eq!(browser.eval(&label("v2")).await, "50.0 %");
    let row = "[...document.querySelectorAll('#routes tbody tr')].find((row) => row.innerText.includes(':9080') && \
               row.innerText.includes('broken')).innerText.replace(/\\s+/g, ' ')";
    let row = browser.eval(row).await;
    assert!(row.as_str().unwrap().contains("0 % "), "{row}");
    browser.assert_content().await;
}

#[tokio::test]
async fn who_calls_is_shown_with_who_would_be_cut_off() {
    let (world, _serving) = graph::called_by_two().await;
    let Some(mut browser) = world.seen(WIDE).await else { return };
    let text = "document.getElementById('peers').innerText";
    browser.until(&format!("{text}.includes('STRICT would cut off 1 of 2')"), PATIENTLY).await;
    let of = |caller: &str| {
        format!("[...document.querySelectorAll('#peers tbody tr')].find((row) => row.innerText.includes('{caller}'))")
    };
    for (caller, wanted, is_open) in [("shop/front", "stays", false), ("127.0.0.1", "cut off", true)] {
        let row = browser.eval(&format!("{}.innerText", of(caller))).await;
        assert!(row.as_str().unwrap().contains(wanted), "{row}");
        let lock = format!("{}.querySelector('svg.open') !== null", of(caller));
        assert_eq!(browser.eval(&lock).await, is_open, "{caller}");
    }
    assert_eq!(browser.eval("document.querySelectorAll('.callers li').length").await, 2);
    assert_eq!(browser.eval("document.querySelectorAll('.callers svg.open').length").await, 1);
    let header = browser.eval("document.getElementById('status').innerText").await;
    for wanted in ["generation 1", "certificate", "mTLS PERMISSIVE", "up "] {
        assert!(header.as_str().unwrap().contains(wanted), "{header}");
    }
    for (name, view) in [("callers", WIDE), ("callers-phone", PHONE)] {
        browser.open(&world.url(), view).await;
        let beyond = browser.eval("document.documentElement.scrollWidth - innerWidth").await;
        assert!(beyond.as_i64().unwrap() <= 0, "{name} scrolls sideways by {beyond} px");
        assert_eq!(browser.eval(ILLEGIBLE).await, serde_json::json!([]), "{name}");
        browser.picture(&format!("admin-{name}.png")).await;
    }
    browser.assert_content().await;
}

#[tokio::test]
async fn without_scripts_the_page_is_whole_and_its_form_works() {
    let world = World::plain().await;
    let Some(mut browser) = Browser::start().await else { return };
    browser.forbid_scripts().await;
    assert_eq!(world.call("v2").await, 503);
    browser.open(&world.url(), PHONE).await;
    assert_eq!(browser.eval(&says_ejected(world.bad)).await, true);
    assert_eq!(browser.eval("document.getElementById('pause').checkVisibility()").await, false);
    browser.click("[name=url]").await;
    browser.insert("http://reviews:9080/1").await;
    browser.press("Enter").await;
    browser.until("document.body.innerText.includes('#1 usual   takes the request')", PATIENTLY).await;
}
