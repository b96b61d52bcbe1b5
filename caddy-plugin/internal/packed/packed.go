// Package packed reads and writes "packed pairs", the flat form in which lists of keys and values cross the border to
// the C++ library: each string as a 4-byte length in host order followed by its bytes, key, value, key, value. One buffer
// holds a whole request's variables, so crossing costs one pointer and no allocation per header.
package packed

import "encoding/binary"

// AppendString adds one length-prefixed string.
func AppendString(dst []byte, s string) []byte {
	dst = binary.NativeEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}

// AppendPair adds a key and its value.
func AppendPair(dst []byte, key, value string) []byte {
	return AppendString(AppendString(dst, key), value)
}

// Reserve adds a length that the caller does not know yet, and says where it lies; Patch fills it in. Between the two the
// string's bytes are appended by hand, which is how a header's name becomes HTTP_NAME without a temporary string.
func Reserve(dst []byte) ([]byte, int) {
	return append(dst, 0, 0, 0, 0), len(dst)
}

// Patch writes the length of the string that was appended since Reserve returned at.
func Patch(dst []byte, at int) {
	binary.NativeEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
}

// Reader walks over packed pairs without copying. The slices that it hands out point into the buffer.
type Reader struct{ rest []byte }

// NewReader starts at the first pair of buf.
func NewReader(buf []byte) Reader { return Reader{rest: buf} }

// Next gives the next pair; ok is false at the end, and for a buffer that is cut short.
func (r *Reader) Next() (key, value []byte, ok bool) {
	if key, ok = r.one(); !ok {
		return nil, nil, false
	}
	value, ok = r.one()
	return key, value, ok
}

// Count says how many whole pairs are left, without moving on.
func (r *Reader) Count() int {
	ahead, n := *r, 0
	for {
		if _, _, ok := ahead.Next(); !ok {
			return n
		}
		n++
	}
}

func (r *Reader) one() ([]byte, bool) {
	if len(r.rest) < 4 {
		r.rest = nil
		return nil, false
	}
	n := uint64(binary.NativeEndian.Uint32(r.rest))
	if n > uint64(len(r.rest)-4) {
		r.rest = nil
		return nil, false
	}
	s := r.rest[4 : 4+n]
	r.rest = r.rest[4+n:]
	return s, true
}
