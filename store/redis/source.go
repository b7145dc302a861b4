package redis

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// scanSize is how many keys are looked at in one command, which others wait for, and of how many the values are under way at a time.
const scanSize = 200

// Source is a store.Source: all calls in a database.
type Source struct {
	Server *Server
	DB     int
}

// Each implements store.Source. Keys that are no strings are passed over.
func (s Source) Each(ctx context.Context, fn func(id string, text []byte)) error {
	c := s.Server.open(s.DB)
	defer c.Close()
	return s.Server.heed(each(ctx, c, fn))
}

func each(ctx context.Context, c *redis.Client, fn func(id string, text []byte)) error {
	seen := make(map[string]bool) // a scan may return a key twice
	var cursor uint64
	for {
		keys, next, err := c.Scan(ctx, cursor, "", scanSize).Result()
		if err != nil {
			return err
		}
		fresh := keys[:0]
		for _, k := range keys {
			if !seen[k] {
				seen[k] = true
				fresh = append(fresh, k)
			}
		}
		if len(fresh) > 0 {
			texts, err := c.MGet(ctx, fresh...).Result()
			if err != nil {
				return err
			}
			for i, text := range texts {
				if t, ok := text.(string); ok {
					fn(fresh[i], []byte(t))
				}
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
