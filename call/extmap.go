package call

func (t *telling) extMaps() { t.out.ExtMaps, t.out.ExtMapAllowMixed = t.said.ExtMapsOf(t.fm.session) }
