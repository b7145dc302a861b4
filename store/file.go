package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	initialMap  = 1 << 28 // of addresses, so that a file that grows is not mapped anew each time
	lockTimeout = 200 * time.Millisecond
)

var (
	bucketCalls = []byte("calls")
	bucketMeta  = []byte("meta")
	keyScope    = []byte("scope")
)

// FileConfig says where the file is.
type FileConfig struct {
	Path  string       // its directory is made if need be
	Scope string       // calls of another scope, such as another network namespace, are given up
	Log   *slog.Logger // nothing is logged when nil
}

// File is a Backend in a file of this host. What is written survives the death of the process, but not always that of the host: it
// is not forced to the disk, since the calls would not survive either.
type File struct {
	cfg FileConfig
	db  *bbolt.DB
}

// OpenFile opens the file, or makes it. A file that cannot be read is put aside. Another process may not have it open.
func OpenFile(cfg FileConfig) (*File, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o750); err != nil {
		return nil, fmt.Errorf("make the directory for calls: %w", err)
	}
	db, err := open(cfg.Path)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s belongs to another instance: give this one another number with --table, or another --state-dir", cfg.Path)
	}
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch) {
		aside := cfg.Path + ".broken"
		cfg.Log.Error("calls of a process before are lost: their file cannot be read", "file", cfg.Path, "kept_as", aside, "err", err)
		if err := os.Rename(cfg.Path, aside); err != nil {
			return nil, fmt.Errorf("put a broken file aside: %w", err)
		}
		db, err = open(cfg.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the file of calls %s: %w", cfg.Path, err)
	}
	return &File{cfg: cfg, db: db}, nil
}

func open(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockTimeout, NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		InitialMmapSize: initialMap,
	})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketCalls, bucketMeta} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Name implements Backend.
func (f *File) Name() string { return "file" }

// Shared implements Backend: the file is this node's own.
func (f *File) Shared() bool { return false }

// Ready implements Backend.
func (f *File) Ready() error { return nil }

// Put implements Backend, in one transaction.
func (f *File) Put(texts map[string][]byte) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		calls := tx.Bucket(bucketCalls)
		for id, text := range texts {
			if text == nil {
				if err := calls.Delete([]byte(id)); err != nil {
					return err
				}
				continue
			}
			if err := calls.Put([]byte(id), text); err != nil {
				return err
			}
		}
		return nil
	})
}

// read returns the documents of our scope by key, and makes the file one of that scope.
func (f *File) read() (map[string][]byte, error) {
	texts := make(map[string][]byte)
	err := f.db.Update(func(tx *bbolt.Tx) error {
		meta, calls := tx.Bucket(bucketMeta), tx.Bucket(bucketCalls)
		if string(meta.Get(keyScope)) != f.cfg.Scope {
			if n := calls.Stats().KeyN; n > 0 {
				f.cfg.Log.Warn("calls of a dead process are given up: it was in another network namespace", "calls", n)
			}
			if err := tx.DeleteBucket(bucketCalls); err != nil {
				return err
			}
			if _, err := tx.CreateBucket(bucketCalls); err != nil {
				return err
			}
			return meta.Put(keyScope, []byte(f.cfg.Scope))
		}
		return calls.ForEach(func(id, text []byte) error {
			texts[string(id)] = append([]byte(nil), text...)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the calls of the process before: %w", err)
	}
	return texts, nil
}

// Close closes the file. Once it has been written to, one without calls is removed.
func (f *File) Close(used bool) error {
	if !used {
		return f.db.Close()
	}
	empty := false
	err := f.db.View(func(tx *bbolt.Tx) error {
		k, _ := tx.Bucket(bucketCalls).Cursor().First()
		empty = k == nil
		return nil
	})
	if empty {
		err = errors.Join(err, os.Remove(f.cfg.Path)) // before the lock is gone
	}
	return errors.Join(err, f.db.Close())
}
