package packed

import (
	"testing"
)

func TestRoundTrip(t *testing.T) {
	pairs := [][2]string{{"a", "1"}, {"", ""}, {"long", string(make([]byte, 70000))}, {"bytes", "\x00\xff"}}
	var buf []byte
	for _, p := range pairs {
		buf = AppendPair(buf, p[0], p[1])
	}
	r := NewReader(buf)
	if n := r.Count(); n != len(pairs) {
		t.Fatalf("Count() = %d, want %d", n, len(pairs))
	}
	for i, want := range pairs {
		k, v, ok := r.Next()
		if !ok || string(k) != want[0] || string(v) != want[1] {
			t.Fatalf("pair %d = %q (%d bytes), %v", i, k, len(v), ok)
		}
	}
	if _, _, ok := r.Next(); ok {
		t.Fatal("a pair after the end")
	}
}

func TestReserveAndPatch(t *testing.T) {
	buf := AppendPair(nil, "before", "x")
	buf, at := Reserve(buf)
	buf = append(buf, "HTTP_X"...)
	Patch(buf, at)
	buf = AppendString(buf, "value")
	r := NewReader(buf)
	r.Next()
	if k, v, ok := r.Next(); !ok || string(k) != "HTTP_X" || string(v) != "value" {
		t.Fatalf("got %q %q %v", k, v, ok)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(AppendPair(nil, "k", "v"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{1, 0, 0, 0, 'k'})
	f.Fuzz(func(t *testing.T, buf []byte) {
		r := NewReader(buf)
		want, total := r.Count(), 0
		for got := 0; ; got++ {
			k, v, ok := r.Next()
			if !ok {
				if got != want {
					t.Fatalf("Count() said %d, Next() gave %d", want, got)
				}
				break
			}
			total += 8 + len(k) + len(v)
		}
		if total > len(buf) {
			t.Fatalf("read %d bytes of %d", total, len(buf))
		}
	})
}
