package soak

import (
	"math"
	"testing"
)

func TestGrowth(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		levels []int
		want   float64
	}{
		{"none", []float64{7, 7, 7}, []int{2, 2, 2}, 0},
		{"a line", []float64{1, 3, 5, 7}, []int{1, 1, 1, 1}, 6},
		{"noise", []float64{4, 6, 4, 4, 6, 4}, []int{0, 0, 0, 0, 0, 0}, 0},
		{"a level that rises", []float64{5, 5, 8, 8, 11}, []int{3, 3, 4, 4, 5}, 0},
		{"a level that comes and goes", []float64{5, 8, 5, 8}, []int{1, 2, 1, 2}, 0},
		{"both", []float64{1, 2, 13, 14, 15}, []int{0, 0, 1, 1, 1}, 4},
		{"a level that can't be told from time", []float64{1, 2, 3}, []int{4, 5, 6}, 2},
	} {
		if got := growth(c.values, c.levels); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v grow by %v, want %v", c.name, c.values, got, c.want)
		}
	}
}
