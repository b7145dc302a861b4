package media

type reports struct{}

type Quality struct{}
