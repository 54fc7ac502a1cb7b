# Debian's libnet-epp-perl against the suite's EPP server:
#
#     perl epp_peer.pl ADDRESS PORT CERTIFICATE KEY CA PASSWORD DOMAIN ACTION...
#
# An action is info, next, ack:ID, add:TAG:ALGORITHM:TYPE:DIGEST or rem:TAG:ALGORITHM:TYPE:DIGEST.
# Each command is a line with its result code, each DS that is listed one with its fields.

use strict;
use warnings;
use Net::EPP::Client;
use Net::EPP::Frame;

my ($address, $port, $certificate, $key, $ca, $password, $domain, @actions) = @ARGV;
my $secdns = 'urn:ietf:params:xml:ns:secDNS-1.1';
my $number = 0;

my $client = Net::EPP::Client->new(
    host => $address, port => $port, ssl => 1, frames => 1,
);
my $greeting = $client->connect(
    SSL_cert_file => $certificate, SSL_key_file => $key,
    SSL_ca_file => $ca, SSL_verify_mode => 1, SSL_verifycn_scheme => 'http',
);
print 'greeting ', $greeting->getElementsByLocalName('svID')->shift->textContent, "\n";

sub ask {
    my ($name, $frame) = @_;
    if (ref $frame) {
        $frame->clTRID->appendText(sprintf 'PERL-%d-%05d', $$, $number++);
    }
    my $answer = $client->request($frame);
    bless $answer, 'Net::EPP::Frame::Response';
    print "$name ", $answer->code, "\n";
    return $answer;
}

my $login = Net::EPP::Frame::Command::Login->new;
$login->clID->appendText('ClientX');
$login->pw->appendText($password);
$login->version->appendText('1.0');
$login->lang->appendText('en');
my $object = $login->createElement('objURI');
$object->appendText('urn:ietf:params:xml:ns:domain-1.0');
$login->svcs->appendChild($object);
my $extensions = $login->createElement('svcExtension');
my $extension = $login->createElement('extURI');
$extension->appendText($secdns);
$extensions->appendChild($extension);
$login->svcs->appendChild($extensions);
ask('login', $login);

for my $action (@actions) {
    my ($verb, @fields) = split /:/, $action;
    if ($verb eq 'info') {
        my $info = Net::EPP::Frame::Command::Info::Domain->new;
        $info->setDomain($domain);
        my $answer = ask('info', $info);
        for my $data ($answer->getElementsByTagNameNS($secdns, 'dsData')) {
            print 'DS ', join(' ', map { $_->textContent } $data->getElementsByTagNameNS($secdns, '*')), "\n";
        }
    } elsif ($verb eq 'next') {
        my $answer = ask('next', Net::EPP::Frame::Command::Poll::Req->new);
        for my $queue ($answer->getElementsByLocalName('msgQ')) {
            print 'message ', $queue->getAttribute('id'), ' of ', $queue->getAttribute('count'), "\n";
        }
    } elsif ($verb eq 'ack') {
        my $ack = Net::EPP::Frame::Command::Poll::Ack->new;
        $ack->setMsgID($fields[0]);
        ask('ack', $ack);
    } else {
        # The module has no secDNS; this is the form of RFC 5910's examples.
        my ($tag, $algorithm, $type, $digest) = @fields;
        my $trid = sprintf 'PERL-%d-%05d', $$, $number++;
        ask($verb, <<"XML");
<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<epp xmlns="urn:ietf:params:xml:ns:epp-1.0"
     xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <command>
    <update>
      <domain:update xmlns:domain="urn:ietf:params:xml:ns:domain-1.0">
        <domain:name>$domain</domain:name>
      </domain:update>
    </update>
    <extension>
      <secDNS:update xmlns:secDNS="$secdns">
        <secDNS:$verb>
          <secDNS:dsData>
            <secDNS:keyTag>$tag</secDNS:keyTag>
            <secDNS:alg>$algorithm</secDNS:alg>
            <secDNS:digestType>$type</secDNS:digestType>
            <secDNS:digest>$digest</secDNS:digest>
          </secDNS:dsData>
        </secDNS:$verb>
      </secDNS:update>
    </extension>
    <clTRID>$trid</clTRID>
  </command>
</epp>
XML
    }
}

ask('logout', Net::EPP::Frame::Command::Logout->new);
$client->disconnect;
