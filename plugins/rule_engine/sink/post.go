package sink

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Refusal is a server's answer that what was sent is not right.
type Refusal struct{ Text string }

// Error implements error.
func (e *Refusal) Error() string { return e.Text }

// Send sends a request of a driver and reads its answer. A *Refusal: the server does
// not take what was sent; other errors are to be tried again. refused tells it
// by the answer's status and headers.
func Send(ctx context.Context, c *http.Client, req *http.Request, refused func(status int, h http.Header) bool) error {
	resp, err := c.Do(req.WithContext(ctx))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 512))
	if err != nil {
		text = nil // the status says enough
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode < 300 {
		return nil
	}
	words := fmt.Sprintf("%s answered %s: %s", req.URL.Redacted(), resp.Status, strings.TrimSpace(string(text)))
	if refused(resp.StatusCode, resp.Header) {
		return &Refusal{words}
	}
	return fmt.Errorf("%s", words)
}
