package call

import "strconv"

func (t *telling) bundle() { t.out.BundleOnly = false }

func (t *telling) mid() {
	if !t.offer && t.tm.Section != nil {
		t.out.Mid = t.tm.Section.Mid
	} else if t.offer && t.out.Mid == "" && t.req.GenerateMID {
		t.out.Mid = strconv.Itoa(t.index + 1)
	}
}
