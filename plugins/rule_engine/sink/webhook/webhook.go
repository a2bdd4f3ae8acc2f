// Package webhook sends results to an HTTP server: resource web_hook, action
// data_to_webserver (emqx4 §7.4).
package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
)

// Webhook is a server.
type Webhook struct {
	// Immutable.
	base   *url.URL
	client *http.Client
	pool   int

	mu      sync.RWMutex
	actions map[string]*request // guarded by mu
}

// request is what an action sends.
type request struct {
	method  string
	path    *template.Template
	headers map[string]*template.Template
	body    *template.Template
}

var _ sink.Resource = (*Webhook)(nil)

// Open reads the resource's configuration. It does not connect.
func Open(p *params.Params) (sink.Resource, error) {
	base, err := url.Parse(p.Required("url"))
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		p.Fault("url", fmt.Errorf("an address like http://host:port/path is wanted"))
	}
	w := &Webhook{base: base, pool: p.Int("pool_size", 8, 1, 256), actions: map[string]*request{}}
	tlsConfig, err := sink.TLS(p)
	if err != nil {
		p.Fault("cacertfile", err)
	}
	w.client = &http.Client{
		Timeout: p.Duration("request_timeout", 5*time.Second),
		Transport: &http.Transport{
			TLSClientConfig: tlsConfig, MaxConnsPerHost: w.pool, MaxIdleConnsPerHost: w.pool,
			TLSHandshakeTimeout: p.Duration("connect_timeout", 5*time.Second),
		},
		// A redirect would take a result to where nobody has said it should go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w, p.Err()
}

// Bind implements sink.Resource.
func (w *Webhook) Bind(action string, p *params.Params) error {
	r := &request{
		method: strings.ToUpper(p.OneOf("method", "post", "put", "get", "delete")),
		path:   p.Template("path", ""), body: p.Template("body", ""), headers: map[string]*template.Template{},
	}
	for k, v := range p.Texts("headers") {
		t, err := template.Parse(v)
		if err != nil {
			p.Fault("headers."+k, err)
			continue
		}
		r.headers[k] = t
	}
	if err := p.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.actions[action] = r
	return nil
}

// Unbind implements sink.Resource.
func (w *Webhook) Unbind(action string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.actions, action)
}

// Write implements sink.Driver: each item is a request of its own, pool_size of
// them at once. Answers of 4xx but for 408, 425 and 429 refuse the item.
func (w *Webhook) Write(ctx context.Context, items []sink.Item) error {
	var mu sync.Mutex
	bad := map[int]error{}
	var group errgroup.Group
	group.SetLimit(w.pool)
	for i, it := range items {
		group.Go(func() error {
			refused, err := w.send(ctx, it)
			if refused != nil {
				mu.Lock()
				defer mu.Unlock()
				bad[i] = refused
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if len(bad) > 0 {
		return &sink.Bad{Items: bad}
	}
	return nil
}

func (w *Webhook) send(ctx context.Context, it sink.Item) (refused, failed error) {
	w.mu.RLock()
	r := w.actions[it.Action]
	w.mu.RUnlock()
	if r == nil {
		return sink.ErrUnbound, nil
	}
	v, err := sql.DecodeJSON(string(it.Row))
	if err != nil {
		return err, nil
	}
	req, err := w.request(ctx, r, v.Map())
	if err != nil {
		return err, nil
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 512))
	if err != nil {
		text = nil // the status says enough
	}
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode < 300:
		return nil, nil
	case resp.StatusCode == 408, resp.StatusCode == 425, resp.StatusCode == 429, resp.StatusCode >= 500:
		return nil, fmt.Errorf("%s answered %s: %s", req.URL.Redacted(), resp.Status, text)
	}
	return fmt.Errorf("%s answered %s: %s", req.URL.Redacted(), resp.Status, text), nil
}

func (w *Webhook) request(ctx context.Context, r *request, row *sql.Map) (*http.Request, error) {
	u := *w.base
	if p := r.path.Text(row); p != "" {
		rel, err := url.Parse(p)
		if err != nil || rel.IsAbs() || rel.Host != "" {
			return nil, fmt.Errorf("the path %q is no path", p)
		}
		u = *u.JoinPath(rel.Path)
		u.RawQuery = rel.RawQuery
	}
	var body []byte
	if r.method == http.MethodPost || r.method == http.MethodPut {
		if r.body.Constant() && r.body.Text(row) == "" {
			body = row.AppendJSON(nil)
		} else {
			body = r.body.Append(nil, row)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, t := range r.headers {
		req.Header.Set(k, t.Text(row))
	}
	return req, nil
}

// Check implements sink.Driver: the server takes a connection and answers
// something that is no failure of its own.
func (w *Webhook) Check(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, w.base.String(), nil)
	if err != nil {
		return err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
		return fmt.Errorf("%s answered %s", w.base.Redacted(), resp.Status)
	}
	return nil
}

// Close implements sink.Driver.
func (w *Webhook) Close() error {
	w.client.CloseIdleConnections()
	return nil
}
