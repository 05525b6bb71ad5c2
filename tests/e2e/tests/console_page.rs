//! The graphical console as a tenant uses it: the address that `openstack console url show` prints, opened in a real
//! browser; what is on the guest's screen is on the page, and what is typed there arrives in the guest.

#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

use updraft_e2e::browser::{Browser, Page};
use updraft_e2e::cloud::Cloud;
use updraft_e2e::guest::{self, Guest};
use updraft_e2e::wait::{GUEST, PROCESS, until};

/// noVNC says so on its root element. A page that has only just been asked for has none yet.
const CONNECTED: &str = "document.documentElement?.classList.contains('noVNC_connected') ?? false";
/// What noVNC shows when something went wrong.
const COMPLAINT: &str = "document.getElementById('noVNC_status')?.textContent ?? ''";
/// Points of the guest's screen that are not black: text, most of all. Null before the first picture.
const LIT_POINTS: &str = "(() => {
    const canvas = document.querySelector('#noVNC_container canvas');
    if (!canvas || !canvas.width) return null;
    const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let lit = 0;
    for (let at = 0; at < bytes.length; at += 4) {
        if (bytes[at] + bytes[at + 1] + bytes[at + 2] > 60) lit += 1;
    }
    return lit;
})()";
/// A login prompt has some hundred; a cursor alone has fewer than this.
const POINTS_OF_TEXT: u64 = 200;

fn await_connection(page: &mut Page) {
    let connected = until("the page is connected, or says why not", PROCESS, || {
        let connected = page.evaluate(CONNECTED) == true;
        let complaint = page.evaluate(COMPLAINT);
        (connected || !complaint.as_str().unwrap_or_default().is_empty()).then_some(connected)
    });
    assert!(connected || page.evaluate(CONNECTED) == true, "noVNC says: {}", page.evaluate(COMPLAINT));
}

#[test]
fn the_graphical_console_works_in_a_browser() {
    let cloud = Cloud::start("console", 3);
    guest::prepare(&cloud);
    let guest = Guest::boot(&cloud, "screen");
    let console = cloud.openstack_json("console url show --novnc screen");
    let url = console["url"].as_str().unwrap();
    assert!(url.contains("/console/vnc.html?"), "{url}");

    let mut browser = Browser::start("console");
    let mut page = browser.open(url);
    await_connection(&mut page);
    until("the guest's text is on the page", GUEST, || {
        page.evaluate(LIT_POINTS).as_u64().filter(|lit| *lit >= POINTS_OF_TEXT)
    });

    // The prompt of the guest's first terminal.
    page.type_text("updraft\n");
    until("the guest asks for the password", GUEST, || {
        guest.try_run("ps | grep '[l]ogin -- updraft'").status.success().then_some(())
    });
    page.type_text("updraft\n");
    until("what was typed in the browser arrives", GUEST, || {
        page.type_text("touch typed\n");
        guest.try_run("test -e typed").status.success().then_some(())
    });

    // The way in was for one use.
    let mut second = browser.open(url);
    until("the second use is refused", PROCESS, || {
        let complaint = second.evaluate(COMPLAINT);
        (!complaint.as_str().unwrap_or_default().is_empty()).then_some(())
    });
    assert_eq!(second.evaluate(CONNECTED), false);
    drop(browser);
    cloud.openstack("server delete --wait screen");
    cloud.await_nothing_amiss();
}
