package peers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestPageShowsACallAndExplainsIt opens the daemon's page in a browser, has a call appear there, and asks for its explanation.
func TestPageShowsACallAndExplainsIt(t *testing.T) {
	s := stage(t, IPv4, "chromium")
	base := "http://" + ProxyWest + ":" + HTTPPort
	page, err := chromium(t, s.West, LowTone).open(base + "/ui/")
	if err != nil {
		t.Fatal(err)
	}
	shows := func(what, expression, want string) {
		t.Helper()
		if err := await(patience, what, func() error {
			var got string
			if err := page.evaluate(expression, &got); err != nil {
				return err
			}
			if !strings.Contains(got, want) {
				return fmt.Errorf("%s is %q, want %q in it", expression, got, want)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	shows("the page says that there are no calls", `document.getElementById("more").textContent`, "none")
	// The id would be an element of the page if it were read as HTML.
	const id = `<img src=x onerror=document.title=1>`
	body, err := json.Marshal(map[string]string{
		"command": "offer", "call-id": id, "from-tag": "a",
		"sdp": "v=0\r\no=- 1 1 IN IP4 " + WestAddr + "\r\ns=-\r\nc=IN IP4 " + WestAddr + "\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	shows("the offer is taken", fmt.Sprintf(`fetch("/ng-plain", {method: "POST", headers: {"Content-Type": "application/json"}, body: %q}).then((r) => r.text())`,
		body), `"result":"ok"`)
	shows("the call appears", `document.querySelector("#calls td").textContent`, id)
	shows("it is counted", `document.querySelector(".tile b").textContent`, "1")
	shows("its state is there", `document.querySelector("#calls td:nth-child(2)").textContent`, "offered")
	if err := page.evaluate(`document.querySelector("#calls tr").click()`, nil); err != nil {
		t.Fatal(err)
	}
	shows("its verdict is there", `document.getElementById("verdict").textContent`, "not answered: untagged 2 has not answered yet")
	shows("its legs are there", `document.getElementById("flows").textContent`, WestAddr+":4000")
	shows("nothing of the id was read as HTML", `document.title + document.querySelectorAll("img").length`, "Weir0")
}
