package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Colours that people tell apart who see few.
var palette = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{230, 159, 0, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{213, 94, 0, 255},
	color.RGBA{204, 121, 167, 255}, color.RGBA{86, 180, 233, 255}, color.RGBA{90, 90, 90, 255}, color.RGBA{160, 140, 0, 255},
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(8)
	// At the right, in room that each plot makes there. Its lines begin at the same place however wide the font is that
	// the reader's browser has.
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs = true, true, vg.Points(515)
	p.Legend.Padding = vg.Points(2)
	p.BackgroundColor = color.White
	p.Add(plotter.NewGrid())
	return p
}

func addLine(p *plot.Plot, number int, name string, points plotter.XYs, markers bool) error {
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color = palette[number%len(palette)]
	line.Width = vg.Points(1.5)
	if number >= len(palette) {
		line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	}
	dots.Color, dots.Shape, dots.Radius = line.Color, draw.CircleGlyph{}, vg.Points(2)
	p.Add(line)
	if markers {
		p.Add(dots)
	}
	p.Legend.Add(name, line)
	return nil
}

func logarithmic(axis *plot.Axis) {
	axis.Scale = plot.LogScale{}
	axis.Tick.Marker = decades{}
}

// decades marks powers of ten, and names them.
type decades struct{ plot.LogTicks }

func (decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
		value := math.Pow(10, power)
		for factor := 1.0; factor < 10; factor++ {
			tick := plot.Tick{Value: value * factor}
			if factor == 1 {
				tick.Label = strconv.FormatFloat(value, 'g', -1, 64)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// quantilePlot: a curve per contestant, by how rare; the way that HdrHistogram's own plots are.
func quantilePlot(all *results, name, title, file string) error {
	p := newPlot(title, "share of tasks that took longer", "µs")
	logarithmic(&p.Y)
	number := 0
	for _, r := range all.of(name) {
		if len(r.Times) == 0 {
			continue
		}
		times, err := hdrhistogram.Decode(r.Times)
		if err != nil {
			return err
		}
		var points plotter.XYs
		for nines := 0.05; nines <= 3; nines += 0.05 {
			points = append(points, plotter.XY{X: nines, Y: float64(times.ValueAtPercentile(100*(1-math.Pow(10, -nines)))) / 1e3})
		}
		if err := addLine(p, number, r.Contestant, points, false); err != nil {
			return err
		}
		number++
	}
	if number == 0 {
		return nil
	}
	p.X.Tick.Marker = plot.ConstantTicks{{Value: 0.301, Label: "half"}, {Value: 1, Label: "1 in 10"}, {Value: 2, Label: "1 in 100"}, {Value: 3, Label: "1 in 1,000"}}
	p.X.Max = 4.6 // the legend's place
	return p.Save(vg.Points(800), vg.Points(400), file)
}

// payloadPlot: time over size, of strings.
func payloadPlot(all *results, file string) error {
	p := newPlot("Echo of a string, median", "bytes", "µs")
	p.X.Scale = plot.LogScale{}
	logarithmic(&p.Y)
	curves := make(map[string]plotter.XYs)
	var names []string
	add := func(contestant, size string, r *result) {
		bytes, err := strconv.ParseFloat(size, 64)
		if err != nil || r.Missing != "" {
			return
		}
		if curves[contestant] == nil {
			names = append(names, contestant)
		}
		curves[contestant] = append(curves[contestant], plotter.XY{X: bytes, Y: r.Numbers["p50"].Median / 1e3})
	}
	for _, r := range all.Results {
		if size, found := strings.CutPrefix(r.Case, "payload/string-"); found {
			add(r.Contestant, size, r)
		} else if size, found := strings.CutPrefix(r.Case, "floor/memcpy-"); found {
			add("memcpy", size, r)
		}
	}
	if len(names) == 0 {
		return nil
	}
	for i, name := range names {
		if err := addLine(p, i, name, curves[name], true); err != nil {
			return err
		}
	}
	p.X.Tick.Marker = plot.ConstantTicks{{Value: 10, Label: "10"}, {Value: 100, Label: "100"}, {Value: 1e3, Label: "1 k"}, {Value: 1e4, Label: "10 k"},
		{Value: 1e5, Label: "100 k"}, {Value: 1e6, Label: "1 M"}, {Value: 1e7, Label: "10 M"}}
	p.X.Max *= 600 // the legend's place
	return p.Save(vg.Points(800), vg.Points(420), file)
}

// barPlot: one number of several cases, a colour per contestant.
func barPlot(all *results, cases []string, which, title, y string, file string) error {
	p := newPlot(title, "", y)
	var contestants, present []string
	for _, name := range cases {
		measured := all.of(name)
		if len(measured) > 0 {
			present = append(present, name)
		}
		for _, r := range measured {
			if _, known := r.Numbers[which]; known && !slices.Contains(contestants, r.Contestant) {
				contestants = append(contestants, r.Contestant)
			}
		}
	}
	if len(contestants) == 0 {
		return nil
	}
	width := vg.Points(440 / float64(len(present)*(len(contestants)+1)))
	var labels []string
	for _, name := range present {
		labels = append(labels, strings.TrimPrefix(name, "http/"))
	}
	for i, contestant := range contestants {
		values := make(plotter.Values, len(present))
		for j, name := range present {
			if r := all.find(name, contestant); r != nil {
				values[j] = r.Numbers[which].Median
			}
		}
		bars, err := plotter.NewBarChart(values, width)
		if err != nil {
			return err
		}
		bars.Color, bars.LineStyle.Width = palette[i%len(palette)], 0
		bars.Offset = width * vg.Length(float64(i)-float64(len(contestants)-1)/2)
		p.Add(bars)
		p.Legend.Add(contestant, bars)
	}
	p.NominalX(labels...)
	p.X.Max += 2.4 // the legend's place
	return p.Save(vg.Points(800), vg.Points(360), file)
}

// crowdPlot: throughput over the number of senders, with as many workers.
func crowdPlot(all *results, file string) error {
	p := newPlot("As many senders as workers", "senders, workers", "tasks per second")
	p.X.Scale = plot.LogScale{}
	curves := make(map[string]plotter.XYs)
	var names []string
	var ticks plot.ConstantTicks
	for _, size := range crowdSizes {
		x := float64(size)
		ticks = append(ticks, plot.Tick{Value: x, Label: number(size)})
		for _, r := range all.of(fmt.Sprintf("crowd/%dx%d", size, size)) {
			if r.Missing != "" {
				continue
			}
			if curves[r.Contestant] == nil {
				names = append(names, r.Contestant)
			}
			curves[r.Contestant] = append(curves[r.Contestant], plotter.XY{X: x, Y: r.Numbers["rate"].Median})
		}
	}
	if len(names) == 0 {
		return nil
	}
	for i, name := range names {
		if err := addLine(p, i, name, curves[name], true); err != nil {
			return err
		}
	}
	p.X.Tick.Marker = ticks
	p.Y.Min = 0
	p.X.Max *= 8 // the legend's place
	return p.Save(vg.Points(800), vg.Points(360), file)
}

// plots writes all of them, and says which there are: file and what it shows.
func plots(all *results, folder string) ([][2]string, error) {
	list := []struct {
		file, alt string
		draw      func(string) error
	}{
		{"serial.svg", "Time of a small task, by how rare", func(f string) error {
			return quantilePlot(all, "serial/null", "One small task after the other", f)
		}},
		{"payload.svg", "Time of a task over the size of its payload", func(f string) error { return payloadPlot(all, f) }},
		{"crowd.svg", "Tasks per second, as many senders as workers", func(f string) error { return crowdPlot(all, f) }},
		{"http.svg", "Requests per second", func(f string) error {
			return barPlot(all, []string{"http/respond", "http/file", "http/hello/classic", "http/hello/worker", "http/task/classic", "http/task/worker"}, "rate",
				"HTTP, eight connections, closed loop", "requests per second", f)
		}},
		{"rate.svg", "Time of a request at a fixed rate, by how rare", func(f string) error {
			return quantilePlot(all, "rate/hello/classic", "Hello in classic mode at a fixed rate", f)
		}},
	}
	var drawn [][2]string
	for _, one := range list {
		file := filepath.Join(folder, one.file)
		if err := one.draw(file); err != nil {
			return nil, err
		}
		if fileExists(file) {
			drawn = append(drawn, [2]string{one.file, one.alt})
		}
	}
	return drawn, nil
}
