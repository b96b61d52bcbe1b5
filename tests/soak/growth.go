package soak

// growth is by how much the values have grown from the first to the last, by the least-squares plane through them over time
// and levels: what they are higher by whenever a level is higher, is the level's and no growth.
func growth(values []float64, levels []int) float64 {
	n := float64(len(values))
	var time, level, value float64 // means
	for i, v := range values {
		time, level, value = time+float64(i)/n, level+float64(levels[i])/n, value+v/n
	}
	var tt, ll, tl, tv, lv float64
	for i, v := range values {
		t, l, v := float64(i)-time, float64(levels[i])-level, v-value
		tt, ll, tl, tv, lv = tt+t*t, ll+l*l, tl+t*l, tv+t*v, lv+l*v
	}
	perStep := tv / tt
	if flat := tt*ll - tl*tl; flat > 1e-9 {
		perStep = (tv*ll - lv*tl) / flat
	}
	return perStep * (n - 1)
}
