package container

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"
)

// The example of the repository, mounted into the image: GD and fileinfo are there, workers run, pictures come out.
func TestPhotosExample(t *testing.T) {
	mustServePhotos(t, imageName(t))
}

func mustServePhotos(t *testing.T, name string) {
	t.Helper()
	example := filepath.Join(checkout(), "docs", "examples", "photos")
	c := run(t, "-v", example+":/app:ro", "-e", "PHOTOS_ADDRESS=:80", name, "run", "--config", "/app/Caddyfile")
	c.awaitHealthy()
	mustTakePhoto(t, c.url())
}

// mustTakePhoto uploads a picture to the example's site and sees its smaller copies announced.
func mustTakePhoto(t *testing.T, site string) {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 1200, 900))
	for x := range 1200 {
		for y := range 900 {
			picture.Set(x, y, color.RGBA{uint8(x), uint8(y), uint8(x + y), 255})
		}
	}
	var content, body bytes.Buffer
	if err := jpeg.Encode(&content, picture, nil); err != nil {
		t.Fatal(err)
	}
	form := multipart.NewWriter(&body)
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="picture"; filename="a.jpg"`}, "Content-Type": {"image/jpeg"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(content.Bytes())
	_ = form.Close()
	response, err := http.Post(site+"/upload.php", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var uploaded struct{ ID, Problem string }
	if err := json.NewDecoder(response.Body).Decode(&uploaded); err != nil || uploaded.ID == "" {
		t.Fatalf("the upload was answered with %d %+v, %v", response.StatusCode, uploaded, err)
	}
	status, events, err := get(fmt.Sprintf("%s/events.php?id=%s", site, uploaded.ID))
	if err != nil || status != 200 || !strings.Contains(events, "event: done") {
		t.Errorf("its events are %d %s, %v", status, events, err)
	}
}
