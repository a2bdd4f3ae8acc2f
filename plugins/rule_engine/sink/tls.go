package sink

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
)

// TLS reads verify (true), server_name_indication, cacertfile ("": the system's
// authorities), certfile and keyfile. The error says which file is not right.
func TLS(p *params.Params) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !p.Bool("verify", true), ServerName: p.String("server_name_indication", "")}
	ca, cert, key := p.String("cacertfile", ""), p.String("certfile", ""), p.String("keyfile", "")
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", ca)
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
